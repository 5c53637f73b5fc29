"""Evaluates a trained model on the development photos.

    python -m segue_training.evaluate --coco DIR --model FILE --out DIR

writes OUT/evaluation.json (figures), OUT/questions.json (the questions, for `evaluate.service`) and
OUT/answers.json (what the model said, and the signals behind its scores). Beside the model stand two
yardsticks: `control`, which ignores the question and takes the class that the detector is surest of, and
`ceiling`, the mask decoder given the true name.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path
from typing import TypedDict

import torch
from tqdm import tqdm

from segue_training.data.photos import Photo, load_coco, split
from segue_training.metrics import iou_of
from segue_training.model.codes import prompt_codes
from segue_training.model.config import RELATIONS
from segue_training.model.generate import Answerer, Picture
from segue_training.model.segue_model import SegueModel, load_model

from . import question_set as evaluation_set
from .figures import ClassTable, Figures, FigureTable
from .question_set import EvaluationQuestion

_WITH_MASKS = ("explicit", "reasoning", "reasoning_held_out", "several", "plural", "referring", "follow_up")


class GivenAnswer(TypedDict):
    """What the model said to a question about a photo."""

    photo: int
    kind: str
    question: str
    answer: str
    iou: list[float]
    """Of each mask with what is meant; 0 for a superfluous one."""
    signals: list[list[float]]
    logprobs: list[float]


def evaluate(model: SegueModel, photos: list[Photo]) -> tuple[dict[str, FigureTable | ClassTable], list[GivenAnswer]]:
    """Figures of the model, of mask-only mode, control and ceiling; and every answer."""
    answerer = Answerer(model)
    answers: list[GivenAnswer] = []
    greedy, mask_only, control, ceiling = Figures(), Figures(), Figures(), Figures()
    asked = defaultdict(list)
    for question in evaluation_set.build(photos, model.names):
        asked[question.photo].append(question)
    for photo in tqdm(photos, desc="evaluate"):
        questions = asked[photo.id]
        if not questions:
            continue
        picture = answerer.look(photo.pixels)
        said = answerer.answer(
            picture, [question.question for question in questions], [question.history for question in questions]
        )
        forced = answerer.prompts_only(picture, [question.question for question in questions])
        blind = answerer.masks(picture, _surest(model, picture))
        for i, (question, answer) in enumerate(zip(questions, said, strict=True)):
            truth = question.masks(photo)
            masks, signals = answerer.segments(picture, answer.prompts)
            greedy.add(question, answer.text, masks, truth)
            entry: GivenAnswer = {
                "photo": photo.id,
                "kind": question.kind,
                "question": question.question,
                "answer": answer.text,
                "iou": [
                    0.0 if expected is None else round(iou_of(mask, expected), 3)
                    for mask, expected in zip_longest(masks, truth[: len(masks)])
                ],
                "signals": signals.tolist(),
                "logprobs": answer.logprobs,
            }
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


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.evaluate", description="Evaluates a trained model on the development photos."
    )
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
