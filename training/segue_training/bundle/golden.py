"""Golden cases: questions whose answers, computed by the PyTorch model, every runtime of the bundle must give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from segue_training.metrics import iou_of

from .manifest import describe_file, write_json
from .runtime import Answer, Runtime


@dataclass(frozen=True)
class GoldenQuestion:
    picture: Path
    question: str


def write_golden(
    runtime: Runtime, questions: list[GoldenQuestion], folder: Path, mask_iou: float, score: float, inside: bool = False
) -> dict[str, Any]:
    """Write `golden/` with its pictures and answers; returns the manifest's `golden` entry.

    mask_iou, score: how near a runtime of the bundle must come. Words must be equal.
    inside: keep what lies between as well, the pictures' image inputs and the segments' embeddings.
    """
    tolerance = {"maskIou": mask_iou, "score": score}
    golden = folder / "golden"
    golden.mkdir(exist_ok=True)
    for picture in {case.picture for case in questions}:
        Image.open(picture).convert("RGB").save(golden / f"{picture.stem}.png")
        if inside:
            _write_inputs(runtime, golden / f"{picture.stem}.png")
    cases = []
    for case in questions:
        name = f"golden/{case.picture.stem}.png"
        answer = runtime.answer(Image.open(folder / name), case.question)
        cases.append({**_case(name, case.question, answer, inside), "tolerance": tolerance})
    write_json(golden / "cases.json", cases)
    return describe_file(golden / "cases.json", folder)


def check_golden(folder: Path) -> None:
    """Ask a bundle's graphs its golden questions. Raises ValueError naming the first answer outside its tolerance."""
    runtime = Runtime.open(folder)
    for case in json.loads((folder / "golden" / "cases.json").read_text(encoding="utf-8")):
        answer = runtime.answer(Image.open(folder / case["image"]), case["question"])
        problem = None
        if (answer.prompt_ids, answer.token_ids) != (case["promptIds"], case["tokenIds"]):
            problem = f"says {answer.text!r} instead of {case['text']!r}"
        for segment, golden in zip(answer.segments, case["segments"], strict=False):
            iou = iou_of(segment.mask, coco_mask.decode(golden["mask"]))
            if iou < case["tolerance"]["maskIou"]:
                problem = f"draws {golden['phrase']!r} with an IoU of {iou:.4f} to PyTorch's mask"
            if abs(segment.score - golden["score"]) > case["tolerance"]["score"]:
                problem = f"scores {golden['phrase']!r} {segment.score:.4f} instead of {golden['score']:.4f}"
        if problem:
            raise ValueError(f"{folder}: asked {case['question']!r} about {case['image']}, the bundle {problem}")


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """uint8[h, w] -> COCO's compressed run lengths"""
    found = coco_mask.encode(np.asfortranarray(mask))
    counts = found["counts"]
    return {
        "size": [int(side) for side in found["size"]],
        "counts": counts if isinstance(counts, str) else counts.decode("ascii"),
    }


def _write_inputs(runtime: Runtime, picture: Path) -> None:
    """Beside a picture, its image inputs by their names in the manifest."""
    from safetensors.numpy import save

    inputs = {name: image.prepare(Image.open(picture))[0] for name, image in runtime.images.items()}
    picture.with_suffix(".safetensors").write_bytes(save(inputs))


def _case(image: str, question: str, answer: Answer, inside: bool) -> dict[str, Any]:
    return {
        "image": image,
        "question": question,
        "mode": "answer",
        "promptIds": answer.prompt_ids,
        "text": answer.text,
        "tokenIds": answer.token_ids,
        "segments": [
            {
                "phrase": s.phrase,
                "score": round(s.score, 6),
                "mask": encode_mask(s.mask),
                **({"embedding": [round(float(value), 6) for value in s.embedding]} if inside else {}),
            }
            for s in answer.segments
        ],
    }
