"""Golden cases: questions whose answers, computed by the PyTorch model, every runtime of the bundle must give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from .manifest import describe_file, write_json
from .runtime import Answer, Runtime


@dataclass(frozen=True)
class GoldenQuestion:
    picture: Path
    question: str


def write_golden(runtime: Runtime, questions: list[GoldenQuestion], folder: Path) -> dict[str, Any]:
    """Write `golden/` with its pictures and answers; returns the manifest's `golden` entry."""
    golden = folder / "golden"
    golden.mkdir(exist_ok=True)
    for picture in {case.picture for case in questions}:
        Image.open(picture).convert("RGB").save(golden / f"{picture.stem}.png")
    cases = []
    for case in questions:
        name = f"golden/{case.picture.stem}.png"
        cases.append(_case(name, case.question, runtime.answer(Image.open(folder / name), case.question)))
    write_json(golden / "cases.json", cases)
    return describe_file(golden / "cases.json", folder)


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """uint8[h, w] -> COCO's compressed run lengths"""
    found = coco_mask.encode(np.asfortranarray(mask))
    return {"size": [int(side) for side in found["size"]], "counts": found["counts"].decode("ascii")}


def _case(image: str, question: str, answer: Answer) -> dict[str, Any]:
    return {
        "image": image,
        "question": question,
        "mode": "answer",
        "promptIds": answer.prompt_ids,
        "text": answer.text,
        "tokenIds": answer.token_ids,
        "segments": [
            {"phrase": s.phrase, "score": round(s.score, 6), "mask": encode_mask(s.mask)} for s in answer.segments
        ],
        "tolerance": {"maskIou": 0.99, "score": 0.01},
    }
