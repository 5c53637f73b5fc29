"""A fine-tuned checkpoint as parts of a bundle of its own name, with golden questions from its own data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from PIL import Image

from segue_training.bundle.golden import GoldenQuestion
from segue_training.bundle.parts import BundleParts
from segue_training.model.checkpoint import Facts
from segue_training.model.generate import Answerer
from segue_training.model.segue_model import SegueModel
from segue_training.smol.parts import parts_of

from .evaluation import KINDS
from .questions import FILE

_PHRASE = r"\b(?:[Tt]he|[Aa]n?) [^,.;:<>]*?$"
"""As the base's, but an own answer may begin with the phrase: "The gauge <SEG> shows it."."""
_CASES, _PICTURES = 5, 8
"""Golden questions, and pictures among whose questions they are chosen."""


def own_parts(model: SegueModel, facts: Facts, name: str) -> BundleParts:
    """A fine-tuned model with its checkpoint's facts; name: of the bundle, which is its folder's.

    Raises ValueError for a name that no bundle may have, or facts that `segue-finetune` did not write.
    """
    if "own" not in facts:
        raise ValueError("The checkpoint was not written by segue-finetune: export it without --data")
    own = facts["own"]
    parts = parts_of(model, facts, name)
    tuned = {
        "part": "fine-tuning",
        "source": "segue-finetune on own data",
        "version": "1",
        "license": "yours to state",
        "note": f"{own['pictures']} pictures, {own['questions']} questions about {', '.join(own['categories'])}",
    }
    return dataclasses.replace(
        parts,
        version="0.1.0",
        phrase_pattern=_PHRASE,
        origins=[*parts.origins, tuned],
        training=_training(own),
        description=f"segue-smol {parts.version}, fine-tuned on own pictures of {' and '.join(own['categories'])}.",
    )


def golden_questions(model: SegueModel, folder: Path) -> list[GoldenQuestion]:
    """Questions of a folder of own data that the model answers without hesitating: every runtime must then say the same.

    A short fine-tuning leaves answers between two words; rounding decides those, which says nothing about a bundle.
    """
    asked: dict[str, list[str]] = {}
    for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
        entry = json.loads(line) if line.strip() else {}
        if entry and not entry.get("history") and (entry["image"] in asked or len(asked) < _PICTURES):
            asked.setdefault(entry["image"], []).append(entry["question"])
    answerer, clear = Answerer(model), []
    for name, questions in asked.items():
        path = folder / "images" / name
        with Image.open(path) as picture:
            look = answerer.look(np.asarray(picture.convert("RGB")))
        for question, answer in zip(questions, answerer.answer(look, questions), strict=True):
            if answer.logprobs:
                clear.append((min(answer.logprobs), GoldenQuestion(path, question)))
    if not clear:
        raise ValueError(f"the model draws no mask for any question about {', '.join(asked)}: fine-tune it for longer")
    chosen = sorted(clear, key=lambda pair: -pair[0])[:_CASES]
    return [question for _, question in chosen]


def _training(own: Facts) -> dict[str, str]:
    described = {"own categories": ", ".join(own["categories"]), "names added to the base's": ", ".join(own["new"]) or "none"}
    for kind, title in KINDS:
        for figure in ("giou", "named", "refused"):
            if figure in own.get("after", {}).get(kind, {}):
                before = own["before"].get(kind, {}).get(figure, "-")
                described[f"held-out pictures, {title}, {figure}"] = f"{before} before, {own['after'][kind][figure]} after"
    return described
