"""The evaluation questions about the development photos, as data that any client can replay.

Kinds: explicit (one-instance targets), reasoning and reasoning_held_out (questions that training never
shows; the latter about classes without any), present and absent (equally many classes, for the balanced
accuracy), several (two targets), plural ("all the"), referring (left, right, largest), follow_up (a second question that
leans on the first; its `history` holds the first with the right answer).
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from segue_training.data.bank import article, load_things, plural
from segue_training.data.photos import Instance, Photo
from segue_training.model.config import COCO_NAMES, ZERO_SHOT


@dataclass
class EvaluationQuestion:
    """A question, and for each expected mask the annotations whose union it is (none: a refusal is right)."""

    photo: int
    file: str
    kind: str
    question: str
    names: list[str]
    targets: list[list[int]] = field(default_factory=list)
    history: list[tuple[str, str]] = field(default_factory=list)

    def masks(self, photo: Photo) -> list[np.ndarray]:
        """Expected masks, uint8[h, w]."""
        by_id = {instance.id: instance for instance in photo.instances}
        return [np.maximum.reduce([by_id[i].mask() for i in ids]) for ids in self.targets]


def build(photos: list[Photo], known: Sequence[str] = COCO_NAMES) -> list[EvaluationQuestion]:
    """All evaluation questions about photos whose labels are indices into `known`; they depend on these and the bank alone."""
    things, rng, questions = load_things(known), random.Random(0), []
    for photo in photos:

        def ask(
            kind: str,
            text: str,
            names: list[str],
            targets: list[list[Instance]],
            photo: Photo = photo,
            history: tuple[str, str] | None = None,
        ) -> None:
            ids, turns = [[instance.id for instance in target] for target in targets], [history] if history else []
            questions.append(EvaluationQuestion(photo.id, photo.path.name, kind, text, names, ids, turns))

        singles = photo.single_targets()
        for target in singles:
            name = known[target.label]
            ask("explicit", f"Can you segment the {name} in this image?", [name], [[target]])
            kind = "reasoning_held_out" if name in ZERO_SHOT else "reasoning"
            for text in things[target.label].test_questions:
                ask(kind, text, [name], [[target]])
        visible = sorted({i.label for i in photo.instances if i.area >= 0.005})
        gone = [label for label in range(len(known)) if label not in photo.labels]
        for label in rng.sample(gone, len(visible)):
            ask("absent", f"Can you segment the {known[label]} in this image?", [known[label]], [])
        for label in visible:
            name = known[label]
            ask("present", f"Can you segment the {name} in this image?", [name], [photo.of(label)])
            same = [i for i in photo.of(label) if not i.crowd]
            if len(same) < 2:
                continue
            big = [i for i in same if i.area >= 0.005]
            if len(big) >= 2 and not any(i.crowd for i in photo.of(label)):
                ask("plural", f"Can you segment all the {plural(name)} in this image?", [name], [same])
                earlier = (f"Segment all the {plural(name)}.", f"They are the {plural(name)} <SEG>.")
                for phrase, target in _referred(same):
                    ask(
                        "follow_up",
                        f"Now only the {'one ' + phrase if phrase.startswith('on') else phrase + ' one'}, please.",
                        [name],
                        [[target]],
                        history=earlier,
                    )
                    ask(
                        "referring",
                        f"Can you segment the {name} {phrase} in this image?"
                        if phrase.startswith("on")
                        else f"Can you segment the {phrase} {name} in this image?",
                        [name],
                        [[target]],
                    )
        for first, second in pairwise(singles):
            names = [known[first.label], known[second.label]]
            ask("several", f"Segment the {names[0]} and the {names[1]}.", names, [[first], [second]])
            earlier = (f"Can you segment the {names[0]} in this image?", f"It is the {names[0]} <SEG>.")
            ask("follow_up", f"Thanks. And now the {names[1]}?", names[1:], [[second]], history=earlier)
            earlier = (f"Is there {article(names[0])} here?", f"Yes, there is {article(names[0])}.")
            ask("follow_up", "Good. Where exactly is it?", names[:1], [[first]], history=earlier)
    return questions


def _referred(things: list[Instance]) -> list[tuple[str, Instance]]:
    """Clearly leftmost, rightmost and largest of all things of a class, where they are not too small to be seen."""
    found = []
    by_x = sorted(things, key=lambda i: (i.box[0] + i.box[2]) / 2)
    width = max(i.box[2] for i in things) - min(i.box[0] for i in things)
    centre = [(i.box[0] + i.box[2]) / 2 for i in by_x]
    if centre[1] - centre[0] > 0.1 * width:
        found.append(("on the left", by_x[0]))
    if centre[-1] - centre[-2] > 0.1 * width:
        found.append(("on the right", by_x[-1]))
    by_area = sorted(things, key=lambda i: -i.area)
    if by_area[0].area > 1.5 * by_area[1].area:
        found.append(("largest", by_area[0]))
    return [(phrase, thing) for phrase, thing in found if thing.area >= 0.005]


def save(questions: list[EvaluationQuestion], path: Path) -> None:
    """Writes the questions as JSON."""
    path.write_text(json.dumps([asdict(question) for question in questions], indent=1))


def load(path: Path) -> list[EvaluationQuestion]:
    """Reads what `save` wrote."""
    entries = json.loads(path.read_text())
    return [EvaluationQuestion(**{**entry, "history": [tuple(turn) for turn in entry["history"]]}) for entry in entries]
