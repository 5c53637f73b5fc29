"""Reads `questions.jsonl` of a folder of own data; finds everything wrong at once.

A line is {"image": file name, "question": ..., "answer": text with <SEG> where a mask belongs, "targets": for each <SEG>
the ids of the annotations that its mask covers, "history": earlier [question, answer] pairs, optional}.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue_training.data.photos import Instance, Photo
from segue_training.data.scene import Question
from segue_training.model.config import Limits
from segue_training.model.tokenization import SEG, SegueTokenizer

from .problems import Findings
from .targets import NoRelationError, relation_of

FILE = "questions.jsonl"
LIMITS = Limits()
_KEYS = {"image", "question", "answer", "targets"}


@dataclass(frozen=True)
class OwnQuestion:
    """A question about a photo with the answer it should get."""

    photo: Photo
    question: Question  # kind "own"; targets as (label, relation)
    things: list[list[Instance]]  # for each <SEG>


@dataclass(frozen=True)
class Marked:
    """What a question must know of an annotation; None where annotations.json does not say it properly."""

    file: str | None
    name: str | None


class QuestionReader:
    """Reads lines against the annotated photos."""

    def __init__(self, things: dict[int, Marked], files: set[str], tokenizer: SegueTokenizer, found: Findings):
        """things: annotations by id. files: `file_name` of every image."""
        self.things, self.files, self.tokenizer, self.found = things, files, tokenizer, found
        self.segments = 0
        self.control = [token for token in tokenizer.added if token != SEG]

    def read(self, path: Path, photos: list[Photo]) -> list[OwnQuestion]:
        """All usable questions of a file; none without photos, which are missing while annotations.json is broken."""
        self.photos = {photo.path.relative_to(path.parent / "images").as_posix(): photo for photo in photos}
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            self.found.error(FILE, None, "the file is not there", f"Write your questions to {path}, one JSON object a line.")
            return []
        except UnicodeDecodeError as error:
            self.found.error(FILE, None, f"the file is not UTF-8 text ({error.reason})", "Save it as UTF-8.")
            return []
        read = [self._line(line, number) for number, line in enumerate(lines, 1) if line.strip()]
        if not self.segments:
            self.found.error(
                FILE,
                None,
                f"no answer holds {SEG}",
                f'Write {SEG} behind the words for each thing that gets a mask: "It is the cup {SEG}."',
            )
        return [question for question in read if question is not None]

    def _line(self, text: str, line: int) -> OwnQuestion | None:
        try:
            entry = json.loads(text)
        except json.JSONDecodeError as error:
            advice = 'Write one whole JSON object on each line, with quotes inside texts as \\".'
            self._error(line, f"this is not JSON: {error.msg} (column {error.colno})", advice)
            return None
        if not isinstance(entry, dict):
            self._error(
                line,
                "this is no JSON object",
                f'Write {{"image": ..., "question": ..., "answer": "... {SEG}.", "targets": [[1]]}}.',
            )
            return None
        before = len(self.found.problems)
        self._check_keys(entry, line)
        if len(self.found.problems) > before:
            return None
        self.segments += entry["answer"].count(SEG)
        if entry["image"] not in self.files:
            self._error(
                line,
                f"`image` {entry['image']!r} is no `file_name` in annotations.json",
                "Correct the name, or add the picture to `images` there.",
            )
            return None
        self._check_texts(entry, line)
        self._check_targets(entry, line)
        if not self.photos or len(self.found.problems) > before:
            return None
        return self._question(entry, self.photos[entry["image"]], line)

    def _error(self, line: int, what: str, advice: str) -> None:
        self.found.error(FILE, line, what, advice)

    def _check_keys(self, entry: dict[str, Any], line: int) -> None:
        if missing := sorted(_KEYS - entry.keys()):
            self._error(
                line,
                f"{' and '.join(f'`{key}`' for key in missing)} missing",
                "Every line needs `image`, `question`, `answer` and `targets` ([] for an answer without a mask).",
            )
        if unknown := sorted(entry.keys() - _KEYS - {"history"}):
            self._error(
                line,
                f"unknown {' and '.join(f'`{key}`' for key in unknown)}",
                "Besides those four, only `history` is read; remove the others or correct their names.",
            )
        for key in ("image", "question", "answer"):
            if key in entry and not isinstance(entry[key], str):
                self._error(line, f"`{key}` is no text", "Write it in quotes.")
        turns = entry.get("history", [])
        pairs = isinstance(turns, list) and all(
            isinstance(t, list) and len(t) == 2 and all(isinstance(part, str) for part in t) for t in turns
        )
        if not pairs:
            self._error(
                line, "`history` is no list of [question, answer] pairs", 'Write [["...", "..."]], the oldest turn first.'
            )
        targets = entry.get("targets", [])
        lists = isinstance(targets, list) and all(
            isinstance(t, list) and all(isinstance(i, int) and not isinstance(i, bool) for i in t) for t in targets
        )
        if not lists:
            self._error(
                line,
                "`targets` is no list of lists of annotation ids",
                f"Write one list for each {SEG}: [[12]] for one, [[12], [13, 14]] for two.",
            )

    def _check_texts(self, entry: dict[str, Any], line: int) -> None:
        turns = entry.get("history", [])
        questions, answers = [entry["question"], *(q for q, _ in turns)], [entry["answer"], *(a for _, a in turns)]
        for word, texts, banned in (("a question", questions, [*self.control, SEG]), ("an answer", answers, self.control)):
            if not all(text.strip() for text in texts):
                self._error(line, f"{word} is empty", "Write it, or remove the line.")
            if token := next((token for token in banned for text in texts if token in text), None):
                self._error(
                    line,
                    f"{word} holds the model's own token {token}",
                    "Write it in other words; the service breaks such tokens up in what people type.",
                )
        asked = len(self.tokenizer.question_ids(entry["question"], turns))
        said = len(self.tokenizer.encode(entry["answer"]))
        if asked + said > LIMITS.max_question_tokens:
            self._error(
                line,
                f"question, earlier turns and answer have {asked + said} tokens, {LIMITS.max_question_tokens} fit",
                "Shorten them, or drop earlier turns.",
            )
        elif said >= LIMITS.max_new_tokens:
            self._error(
                line,
                f"the answer has {said} tokens, the model says at most {LIMITS.max_new_tokens - 1}",
                "Shorten it: what stands behind would never be said.",
            )

    def _check_targets(self, entry: dict[str, Any], line: int) -> None:
        targets, segments = entry["targets"], entry["answer"].count(SEG)
        if segments != len(targets):
            self._error(
                line,
                f"the answer has {segments} {SEG}, `targets` has {len(targets)} {'list' if len(targets) == 1 else 'lists'}",
                f"Give each {SEG} one list of annotation ids, in the order of the text.",
            )
        for ids in targets:
            if not ids or max(Counter(ids).values()) > 1:
                self._error(
                    line, f"`targets` holds {ids}", "Each list names the annotations under one mask, each once, at least one."
                )
            for number in ids:
                thing = self.things.get(number)
                if thing is None:
                    self._error(line, f"there is no annotation {number}", "Use the `id` of an annotation in annotations.json.")
                elif thing.file is not None and thing.file != entry["image"]:
                    self._error(
                        line,
                        f"annotation {number} belongs to {thing.file}, the question is about {entry['image']}",
                        "Correct the id, or `image`.",
                    )
            names = sorted({name for i in ids if i in self.things and (name := self.things[i].name) is not None})
            if len(names) > 1:
                self._error(
                    line,
                    f"{ids} mixes {' and '.join(names)} in one mask",
                    f"Write one {SEG} with a list of its own for each category.",
                )

    def _question(self, entry: dict[str, Any], photo: Photo, line: int) -> OwnQuestion | None:
        by_id = {thing.id: thing for thing in photo.instances}
        things = [[by_id[i] for i in ids] for ids in entry["targets"]]
        turns = [(question, answer) for question, answer in entry.get("history", [])]
        text, targets = f"{entry['question']} {entry['answer']}", []
        for group in things:
            ids = [thing.id for thing in group]
            name = self.things[ids[0]].name
            try:
                relation, said = relation_of(photo, group, text)
            except NoRelationError:
                advice = (
                    "It can point at the only one, at all, or at the leftmost, rightmost, top, bottom, largest, smallest or "
                    "middle one."
                )
                self.found.warn(
                    FILE,
                    line,
                    f"nothing it can learn tells {ids} from the other things of the category {name!r}; the line is left out",
                    advice,
                )
                return None
            if not said:
                advice = 'Better say it ("the left one"): the model knows places and sizes, no colours, states or brands.'
                self.found.warn(
                    FILE,
                    line,
                    f"{ids} is not the only {name}, and the texts do not say which one is meant by place or size; "
                    "its place is taught all the same",
                    advice,
                )
            targets.append((group[0].label, relation))
        return OwnQuestion(photo, Question("own", entry["question"].strip(), entry["answer"].strip(), targets, turns), things)
