"""Calibration of the first answer token on training photos: how easily the model says "There is no ..."."""

from __future__ import annotations

import random

import torch

from segue_training.data.bank import load_things
from segue_training.data.kind_questions import KindQuestions
from segue_training.data.kinds import load_kinds
from segue_training.data.photos import Photo
from segue_training.data.scenes import real_scene
from segue_training.model.generate import Answerer
from segue_training.model.segue_model import SegueModel

_TOLERANCE = 0.0025
_KINDS = 3
"""Kinds of things asked for of each photo, there and not there."""
_PRESENT = {"explicit": 0.4, "reasoning": 0.2, "kind": 0.4}
_ABSENT = {"absent": 0.6, "kind_absent": 0.4}


def calibrate(model: SegueModel, photos: list[Photo], seed: int = 0) -> dict[str, float]:
    """Sets `refusal_bias` to the value that separates present from absent things best; returns what it measured.

    Present things are asked for by name, by reasoning and by their kind in words that training never uses, with equal weight
    together to the absent ones.
    """
    model.refusal_bias.zero_()
    answerer, rng, things = Answerer(model), random.Random(seed), load_things(model.names)
    kinds = KindQuestions([thing.name for thing in things], load_kinds(things))
    margins: dict[str, list[float]] = {kind: [] for kind in (*_PRESENT, *_ABSENT)}
    for photo in photos:
        questions: list[tuple[str, str]] = []
        visible = sorted({i.label for i in photo.instances if i.area >= 0.005})
        gone = [label for label in range(len(model.names)) if label not in photo.labels]
        for label in visible:
            questions.append(("explicit", f"Can you segment the {model.names[label]} in this image?"))
            if things[label].questions:
                questions.append(("reasoning", rng.choice(things[label].questions)))
        asked = rng.sample(gone, len(visible))
        questions += [("absent", f"Can you segment the {model.names[label]} in this image?") for label in asked]
        if not questions:
            continue
        picture = answerer.look(photo.pixels)
        scene = real_scene(photo, model.summary(picture.features), {})
        asked_by_kind = kinds.each_kind(scene, rng)
        for kind in ("kind", "kind_absent"):
            mine = [question for question in asked_by_kind if question.kind == kind]
            questions += [(kind, question.text) for question in rng.sample(mine, min(_KINDS, len(mine)))]
        found = answerer.refusal_margins(picture, [text for _, text in questions])
        for (kind, _), margin in zip(questions, found, strict=True):
            margins[kind].append(margin)
    accuracy = {step / 4: _accuracy(margins, step / 4) for step in range(-40, 21)}
    # The curve is flat at its top and a few hundred questions decide it: the mildest bias near the top is taken.
    top = [bias for bias, value in accuracy.items() if value >= max(accuracy.values()) - _TOLERANCE]
    bias = min(top, key=abs)
    model.refusal_bias.fill_(bias)
    return {"refusal_bias": bias, "accuracy": accuracy[bias], "accuracy_without": accuracy[0.0]}


def _accuracy(margins: dict[str, list[float]], bias: float) -> float:
    refused = {kind: torch.tensor(values).add(bias).gt(0).float().mean().item() for kind, values in margins.items()}

    def share(weights: dict[str, float]) -> float:
        """Refused among the kinds of questions that were asked at all."""
        asked = {kind: weight for kind, weight in weights.items() if margins[kind]}
        return sum(weight * refused[kind] for kind, weight in asked.items()) / sum(asked.values())

    return (1 - share(_PRESENT) + share(_ABSENT)) / 2
