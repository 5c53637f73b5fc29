"""Evaluates a trained model on the development photos.

    python -m segue_training.evaluate --coco DIR --model FILE --out DIR

writes OUT/evaluation.json (figures), OUT/questions.json (the questions, for `evaluate_service`) and
OUT/answers.json (what the model said, and the signals behind its scores). Beside the model stand two yardsticks: `control`, which ignores
the question and takes the class that the detector is surest of, and `ceiling`, the mask decoder given
the true name.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import evaluation_set
from .bank import plural
from .codes import prompt_codes
from .config import RELATIONS
from .data import Photo, load_coco, split
from .evaluation_set import EvaluationQuestion
from .generate import Answerer, Picture
from .metrics import MaskScore, balanced_accuracy, iou_of
from .model import SegueModel, load_model

_WITH_MASKS = ("explicit", "reasoning", "reasoning_held_out", "several", "plural", "referring", "follow_up")


@dataclass
class Figures:
    """Running figures of one way of answering."""

    scores: dict[str, MaskScore] = field(default_factory=lambda: defaultdict(MaskScore))
    answered: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    named: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    in_order: list[bool] = field(default_factory=list)
    by_class: dict[str, MaskScore] = field(default_factory=lambda: defaultdict(MaskScore))

    def add(self, question: EvaluationQuestion, text: str, masks: np.ndarray, truth: list[np.ndarray]) -> None:
        """Counts an answer; a missing mask counts as an empty one, a superfluous one is ignored."""
        kind = question.kind
        self.answered[kind].append(len(masks) > 0)
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

    def summary(self) -> dict:
        """All figures by kind, rounded to four digits."""
        result: dict = {}
        for kind, score in self.scores.items():
            result[kind] = {"targets": score.masks, "giou": round(score.giou, 4), "ciou": round(score.ciou, 4),
                            "answered": _share(self.answered[kind]), "named": _share(self.named[kind])}  # fmt: skip
        if self.answered["absent"]:
            refused = [not answered for answered in self.answered["absent"]]
            result["absent"] = {"questions": len(refused), "accuracy": _share(refused)}
            result["present"] = {"questions": len(self.answered["present"]), "accuracy": _share(self.answered["present"])}
            result["presence"] = {"balanced_accuracy": round(balanced_accuracy(self.answered["present"], refused), 4)}
        if self.in_order:
            result["several"]["in_order"] = _share(self.in_order)
        return result

    def classes(self) -> dict[str, tuple[int, float]]:
        """Class -> (masks, gIoU) over explicit and reasoning questions."""
        return {name: (score.masks, round(score.giou, 3)) for name, score in sorted(self.by_class.items())}


def evaluate(model: SegueModel, photos: list[Photo]) -> tuple[dict, list[dict]]:
    """Figures of the model, of mask-only mode, control and ceiling; and every answer."""
    answerer, answers = Answerer(model), []
    greedy, mask_only, control, ceiling = Figures(), Figures(), Figures(), Figures()
    asked = defaultdict(list)
    for question in evaluation_set.build(photos, model.names):
        asked[question.photo].append(question)
    for photo in tqdm(photos, desc="evaluate"):
        questions = asked[photo.id]
        if not questions:
            continue
        picture = answerer.look(photo.pixels)
        said = answerer.answer(picture, [question.question for question in questions], [question.history for question in questions])
        forced = answerer.prompts_only(picture, [question.question for question in questions])
        blind = answerer.masks(picture, _surest(model, picture))
        for i, (question, answer) in enumerate(zip(questions, said, strict=True)):
            truth = question.masks(photo)
            masks, signals = answerer.segments(picture, answer.prompts)
            greedy.add(question, answer.text, masks, truth)
            entry = {"photo": photo.id, "kind": question.kind, "question": question.question, "answer": answer.text,
                     "iou": [0.0 if expected is None else round(iou_of(mask, expected), 3) for mask, expected in zip_longest(masks, truth[: len(masks)])],
                     "signals": signals.tolist(), "logprobs": answer.logprobs}  # fmt: skip
            answers.append(entry)
            if question.kind not in _WITH_MASKS:
                continue
            ceiling.add(question, "", answerer.masks(picture, _true_prompts(model, question)), truth)
            if len(truth) == 1 and not question.history:
                mask_only.add(question, "", answerer.masks(picture, forced[i : i + 1]), truth)
                control.add(question, "", blind, truth)
    figures = {"model": greedy, "mask_only": mask_only, "control": control, "ceiling": ceiling}
    return {name: figure.summary() for name, figure in figures.items()} | {"classes": greedy.classes()}, answers


def _true_prompts(model: SegueModel, question: EvaluationQuestion) -> torch.Tensor:
    names = torch.tensor([model.names.index(name) for name in question.names])
    relation = "all" if question.kind == "plural" else "one"
    if question.kind in ("referring", "follow_up"):
        words = question.question.replace(",", " ")
        relation = next((word for word in ("left", "right", "largest") if f" {word} " in words), "one")
    return prompt_codes(model.decoder_config, names, torch.full_like(names, RELATIONS.index(relation)))


def _surest(model: SegueModel, picture: Picture) -> torch.Tensor:
    best = picture.features["heatmap"].amax((2, 3)).argmax(1)
    return prompt_codes(model.decoder_config, best, torch.zeros_like(best))


def _says(name: str, text: str) -> bool:
    """Whether a text speaks of a thing, or of several: "the cup", "a cup", "the cups"."""
    return re.search(rf"\b(?:the|an?) (?:{re.escape(name)}|{re.escape(plural(name))})\b", text, re.IGNORECASE) is not None


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluates a trained model on the development photos.")
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--model", type=Path, required=True, help="file written by segue_training.train")
    parser.add_argument("--out", type=Path, required=True, help="folder for evaluation.json, questions.json, answers.json")
    options = parser.parse_args()
    _, photos = split(load_coco(options.coco))
    figures, answers = evaluate(load_model(options.model), photos)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "evaluation.json").write_text(json.dumps(figures, indent=1))
    (options.out / "answers.json").write_text(json.dumps(answers, indent=1))
    evaluation_set.save(evaluation_set.build(photos), options.out / "questions.json")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
