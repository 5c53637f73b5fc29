"""A fine-tuned checkpoint as parts of a bundle of its own name, with golden questions from its own data."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from .bundle_parts import BundleParts
from .golden import GoldenQuestion
from .model import load_facts
from .own_evaluation import KINDS
from .own_questions import FILE
from .segue_smol import smol_parts

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_CASES, _PICTURES = 5, 3


def own_parts(checkpoint: Path, name: str) -> BundleParts:
    """A checkpoint of `segue-finetune`, in float32; name: of the bundle, which is its folder's.

    Raises ValueError for a name that no bundle may have, or a checkpoint that was not fine-tuned.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a bundle's name: use lower-case letters, digits, dots and dashes for the folder")
    facts = load_facts(checkpoint)
    if "own" not in facts:
        raise ValueError(f"{checkpoint} was not written by segue-finetune: export it without --data")
    own = facts["own"]
    parts = smol_parts(checkpoint)
    tuned = {
        "part": "fine-tuning", "source": "segue-finetune on own data", "version": "1", "license": "yours to state",
        "note": f"{own['pictures']} pictures, {own['questions']} questions about {', '.join(own['categories'])}",
    }  # fmt: skip
    return dataclasses.replace(
        parts, name=name, version="0.1.0", origins=[*parts.origins, tuned], training=_training(own),
        description=f"{parts.name} {parts.version}, fine-tuned on own pictures of {' and '.join(own['categories'])}.",
    )  # fmt: skip


def golden_questions(folder: Path) -> list[GoldenQuestion]:
    """First questions of the first pictures of a folder of own data that `segue-finetune` has read."""
    found: dict[str, list[GoldenQuestion]] = {}
    for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
        entry = json.loads(line) if line.strip() else {}
        if entry and not entry.get("history") and (entry["image"] in found or len(found) < _PICTURES):
            found.setdefault(entry["image"], []).append(GoldenQuestion(folder / "images" / entry["image"], entry["question"]))
    return [question for questions in found.values() for question in questions][:_CASES]


def _training(own: dict) -> dict:
    described = {"own categories": ", ".join(own["categories"]), "names added to the base's": ", ".join(own["new"]) or "none"}
    for kind, title in KINDS:
        for figure in ("giou", "named", "refused"):
            if figure in own.get("after", {}).get(kind, {}):
                before = own["before"].get(kind, {}).get(figure, "-")
                described[f"held-out pictures, {title}, {figure}"] = f"{before} before, {own['after'][kind][figure]} after"
    return described
