"""Asks the questions, one picture at a time, and keeps the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from segue_training.metrics import MaskScore, intersection_and_union

from .answering import Mode, Several, Way
from .problems import Problem, ProblemError

OVERALL = "overall"


@dataclass(frozen=True)
class Question:
    query: str
    instruction: str
    """The query inside its template, as sent."""
    group: str
    """Scored on its own beside `overall`."""
    truth: Callable[[], np.ndarray]
    """Paints the expected mask uint8[h, w], 255 where nothing is scored; a function, because a mask may have 28 MP."""


@dataclass(frozen=True)
class Scored:
    """One question's outcome, in pixels where the truth is not 255."""

    picture: str
    group: str
    query: str
    text: str
    masks: int
    intersection: int
    union: int
    iou: float


class GroupFigures(TypedDict):
    masks: int
    giou: float | None
    ciou: float | None


@dataclass
class Scores:
    groups: dict[str, MaskScore]
    answers: Counter[str] = field(default_factory=Counter)
    """How many answers had no mask, one mask, several masks."""
    questions: list[Scored] = field(default_factory=list)
    model: str = ""

    def figures(self) -> dict[str, GroupFigures]:
        """masks, gIoU and cIoU of each group; None without masks."""
        return {
            name: {"masks": score.masks, "giou": score.giou if score.masks else None, "ciou": score.ciou if score.masks else None}
            for name, score in self.groups.items()
        }

    def as_json(self) -> dict[str, object]:
        return {
            "figures": self.figures(),
            "answers": {kind: self.answers[kind] for kind in ("no mask", "one mask", "several masks")},
            "questions": [asdict(question) for question in self.questions],
        }


def score(
    way: Way, mode: Mode, several: Several, groups: Iterable[str], pictures: Iterable[tuple[Path, list[Question]]]
) -> Scores:
    """Asks everything about every picture. Raises what the way raises: a failure is never an empty mask."""
    scores = Scores({name: MaskScore() for name in (OVERALL, *groups)})
    for picture, questions in pictures:
        ask = way.look(picture)
        for question in questions:
            reply = ask(question.instruction)
            if mode is Mode.TEACHER_FORCED and len(reply.masks) != 1:
                what = f"{len(reply.masks)} masks instead of one to {question.instruction!r}"
                raise ProblemError(
                    [Problem(str(picture), what, "The model does not keep to the mask_only mode; use --mode free.")]
                )
            truth = question.truth()
            predicted = reply.scored(truth.shape, several)
            if predicted.shape != truth.shape:
                what = f"the answer's mask is {predicted.shape}, the picture {truth.shape} (height, width)"
                raise ProblemError([Problem(str(picture), what, "Masks must have the picture's own size; nothing is resized.")])
            pixels = intersection_and_union(predicted, truth)
            iou = scores.groups[OVERALL].count(*pixels)
            scores.groups[question.group].count(*pixels)
            found = len(reply.masks)
            scores.answers[("no mask", "one mask", "several masks")[min(found, 2)]] += 1
            scores.questions.append(Scored(picture.name, question.group, question.query, reply.text, found, *pixels, iou))
            scores.model = reply.model
    return scores
