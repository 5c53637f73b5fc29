"""Measures a model on held-out own pictures, before and after its fine-tuning."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from segue_training.data.bank import plural
from segue_training.data.photos import Photo
from segue_training.evaluate.figures import Figures
from segue_training.evaluate.question_set import EvaluationQuestion
from segue_training.model.generate import Answerer, Picture
from segue_training.model.segue_model import SegueModel
from segue_training.places import EXAMPLES

from .folder import OwnData

_SURE, _UNSEEN, _ABSENT = 0.4, 0.05, 3
KINDS = (
    ("own", "your questions"),
    ("own_refused", "your questions about what is not there"),
    ("named", "your categories by name"),
    ("absent", "things that are not there"),
    ("before", "what it knew before"),
)
"""Kinds of questions and what they are called. What it knew before has no true masks: its gIoU is with the mask of before."""


@dataclass
class Kept:
    """What the base model answered about things of other classes: the measure of what was forgotten."""

    masks: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)  # by picture and question


def measure(model: SegueModel, data: OwnData, photos: list[Photo], kept: Kept, base: bool) -> dict[str, dict[str, float]]:
    """Figures by kind of question: masks, giou, ciou, named, answered (for absent things: refused).

    base: the model before fine-tuning, whose answers about other classes are put into `kept`; else they are compared.
    """
    answerer, figures = Answerer(model), Figures()
    for photo in photos:
        picture = answerer.look(photo.pixels)
        asked = _questions(data, photo, picture, model)
        said = answerer.answer(picture, [q.question for q in asked], [q.history for q in asked])
        for question, answer in zip(asked, said, strict=True):
            figures.add(question, answer.text, answerer.masks(picture, answer.prompts), question.masks(photo))
    _compare(answerer, figures, photos, kept, base)
    return _summary(figures)


def _questions(data: OwnData, photo: Photo, picture: Picture, model: SegueModel) -> list[EvaluationQuestion]:
    asked = []

    def ask(
        kind: str, text: str, names: list[str], targets: list[list[int]], history: list[tuple[str, str]] | None = None
    ) -> None:
        asked.append(EvaluationQuestion(photo.id, photo.path.name, kind, text, names, targets, history or []))

    for own in data.questions:
        if own.photo is photo:
            ids = [[thing.id for thing in group] for group in own.things]
            names = [data.names[group[0].label] for group in own.things]
            ask("own" if ids else "own_refused", own.question.text, names, ids, own.question.history)
    for label in data.labels:
        name, things = data.names[label], photo.of(label)
        if len(things) == 1:
            ask("named", f"Can you segment the {name} in this image?", [name], [[things[0].id]])
        elif things:
            ask("named", f"Can you segment all the {plural(name)} in this image?", [name], [[thing.id for thing in things]])
        else:
            ask("absent", f"Can you segment the {name} in this image?", [name], [])
    seen = picture.features["heatmap"].amax((0, 2, 3)).sigmoid()
    unseen = [label for label in sorted(photo.unsure) if seen[label] < _UNSEEN]
    for label in random.Random(photo.id).sample(unseen, min(_ABSENT, len(unseen))):
        ask("absent", f"Can you segment the {data.names[label]} in this image?", [data.names[label]], [])
    return asked


def _compare(answerer: Answerer, figures: Figures, photos: list[Photo], kept: Kept, base: bool) -> None:
    """Other classes that the base model is sure of, in the held-out pictures and the repository's examples."""
    examples = [Photo(-1 - i, path, 0, 0) for i, path in enumerate(sorted(EXAMPLES.glob("*.jpg")))]
    for photo in [*photos, *examples]:
        picture = answerer.look(photo.pixels)
        if base:
            seen = picture.features["heatmap"].amax((0, 2, 3)).sigmoid()
            labels = [label for label in range(len(seen)) if seen[label] > _SURE and label not in photo.labels]
            texts = {f"Can you segment the {answerer.model.names[label]} in this image?": label for label in labels}
        else:
            texts = {text: 0 for name, text in kept.masks if name == str(photo.path)}
        if not texts:
            continue
        for text, answer in zip(texts, answerer.answer(picture, list(texts)), strict=True):
            masks = answerer.masks(picture, answer.prompts)
            if base and len(masks) == 0:
                continue  # what it refused before is nothing that could be forgotten
            expected = kept.masks.setdefault(
                (str(photo.path), text), masks[0] if len(masks) else np.zeros(picture.original, np.uint8)
            )
            name = text.removeprefix("Can you segment the ").removesuffix(" in this image?")
            figures.add(EvaluationQuestion(photo.id, photo.path.name, "before", text, [name]), answer.text, masks, [expected])


def _summary(figures: Figures) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    for kind, _ in KINDS:
        answered = figures.answered[kind]
        if not answered:
            continue
        share = sum(answered) / len(answered)
        if kind in ("own_refused", "absent"):
            result[kind] = {"questions": len(answered), "refused": round(1 - share, 3)}
            continue
        score, named = figures.scores[kind], figures.named[kind]
        result[kind] = {
            "questions": len(answered),
            "giou": round(score.giou, 3),
            "ciou": round(score.ciou, 3),
            "named": round(sum(named) / len(named), 3),
            "answered": round(share, 3),
        }
    return result


def table(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> str:
    """Both measurements side by side, as Markdown."""
    lines = ["| held-out pictures | questions | figure | before | after |", "|---|---|---|---|---|"]
    for kind, title in KINDS:
        for figure in ("giou", "named", "refused") if kind in after else ():
            if figure in after[kind]:
                name = {"giou": "gIoU", "named": "right name", "refused": "refused"}[figure]
                was = before.get(kind, {}).get(figure, "")
                lines.append(f"| {title} | {after[kind]['questions']} | {name} | {was} | {after[kind][figure]} |")
    return "\n".join(lines)
