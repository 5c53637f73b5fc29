"""How well answers name and draw what was asked for, by kind of question."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from segue_training.data.bank import plural
from segue_training.metrics import MaskScore, balanced_accuracy, iou_of

from .question_set import EvaluationQuestion

FigureTable = dict[str, dict[str, float]]
"""By kind of question, figures by their names."""

ClassTable = dict[str, tuple[int, float]]
"""By class, (masks, gIoU)."""

Confusion = tuple[str, str, int, int]
"""(thing meant, what was said instead, how often, how often it was meant)"""

NOTHING = "nothing"
"""What is said of a thing that gets no mask."""

_ONE_THING = ("present", "reasoning", "reasoning_held_out")
"""Questions that mean one class; explicit ones are asked as present ones, too."""


@dataclass
class Figures:
    """Running figures of one way of answering."""

    scores: dict[str, MaskScore] = field(default_factory=lambda: defaultdict(MaskScore))
    answered: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    named: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    in_order: list[bool] = field(default_factory=list)
    by_class: dict[str, MaskScore] = field(default_factory=lambda: defaultdict(MaskScore))
    meant: Counter[str] = field(default_factory=Counter)
    instead: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, question: EvaluationQuestion, text: str, masks: np.ndarray, truth: list[np.ndarray]) -> None:
        """Counts an answer; a missing mask counts as an empty one, a superfluous one is ignored."""
        kind = question.kind
        self.answered[kind].append(len(masks) > 0)
        if kind in _ONE_THING:
            self._count_name(question.names[0], text if len(masks) else "")
        if not truth or kind == "present":
            return
        self.named[kind].append(len(masks) > 0 and all(_says(name, text) for name in question.names))
        empty = np.zeros_like(truth[0])
        given = [masks[i] if i < len(masks) else empty for i in range(len(truth))]
        for mask, expected in zip(given, truth, strict=True):
            self.scores[kind].add(mask, expected)
            if kind in ("explicit", "reasoning", "reasoning_held_out"):
                self.by_class[question.names[0]].add(mask, expected)
        if kind == "several" and len(masks) >= 2:
            straight = sum(iou_of(mask, expected) for mask, expected in zip(given, truth, strict=True))
            crossed = sum(iou_of(mask, expected) for mask, expected in zip(given[::-1], truth, strict=True))
            self.in_order.append(straight >= crossed)

    def _count_name(self, name: str, text: str) -> None:
        """text: empty where no mask was drawn."""
        self.meant[name] += 1
        if not text or not _says(name, text):
            self.instead[name, _first_name(text) if text else NOTHING] += 1

    def summary(self) -> FigureTable:
        """All figures by kind, rounded to four digits."""
        result: FigureTable = {}
        for kind, score in self.scores.items():
            result[kind] = {
                "targets": score.masks,
                "giou": round(score.giou, 4),
                "ciou": round(score.ciou, 4),
                "answered": _share(self.answered[kind]),
                "named": _share(self.named[kind]),
            }
        if self.answered["absent"]:
            refused = [not answered for answered in self.answered["absent"]]
            result["absent"] = {"questions": len(refused), "accuracy": _share(refused)}
            result["present"] = {"questions": len(self.answered["present"]), "accuracy": _share(self.answered["present"])}
            result["presence"] = {"balanced_accuracy": round(balanced_accuracy(self.answered["present"], refused), 4)}
        if self.in_order:
            result["several"]["in_order"] = _share(self.in_order)
        return result

    def confusions(self, most: int = 12) -> list[Confusion]:
        """The most frequent wrong names and refusals, over questions that mean one class."""
        ordered = sorted(self.instead.items(), key=lambda item: (-item[1], item[0]))
        return [(name, said, times, self.meant[name]) for (name, said), times in ordered[:most]]

    def classes(self) -> ClassTable:
        """Class -> (masks, gIoU) over explicit and reasoning questions."""
        return {name: (score.masks, round(score.giou, 3)) for name, score in sorted(self.by_class.items())}


def _says(name: str, text: str) -> bool:
    """Whether a text speaks of a thing, or of several: "the cup", "a cup", "the cups"."""
    return re.search(rf"\b(?:the|an?) (?:{re.escape(name)}|{re.escape(plural(name))})\b", text, re.IGNORECASE) is not None


def _first_name(text: str) -> str:
    """What the first mask of an answer is said to be: "cup" of "It is the cup <SEG> and the spoon <SEG>." """
    return re.split(r"\b(?:the|an?) ", text.partition("<SEG>")[0])[-1].strip()


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 4)
