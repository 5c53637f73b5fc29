"""Evaluates an exported bundle on the development photos, graph by graph in ONNX Runtime.

    python -m segue_training.evaluate.bundle --bundle models/segue-smol --coco DIR --out FILE [--record]

asks the questions of `evaluate` and so measures what quantisation costs; it also counts which things are taken for others.
`--record` writes the figures into the bundle's manifest and model card, beside those of the PyTorch model.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image
from tqdm import tqdm

from segue_training.bundle.export import save_manifest
from segue_training.bundle.runtime import Answer, Runtime
from segue_training.data.photos import Photo, load_coco, split

from . import question_set as evaluation_set
from .figures import Confusion, Figures, FigureTable


class SpokenAnswer(TypedDict):
    """What a bundle said to a question about a photo."""

    photo: int
    question: str
    answer: str


def evaluate_bundle(runtime: Runtime, photos: list[Photo]) -> tuple[dict[str, FigureTable], list[Confusion], list[SpokenAnswer]]:
    """Figures of answers and of `mask_only`, which things are taken for others, and every answer's text."""
    asked = defaultdict(list)
    for question in evaluation_set.build(photos):
        asked[question.photo].append(question)
    spoken, forced = Figures(), Figures()
    texts: list[SpokenAnswer] = []
    for photo in tqdm([photo for photo in photos if asked[photo.id]], desc="evaluate"):
        look = runtime.look(Image.fromarray(photo.pixels))
        for question in asked[photo.id]:
            truth = question.masks(photo)
            answer = runtime.reply(look, question.question, question.history)
            spoken.add(question, answer.text, _masks(answer, look.original), truth)
            texts.append({"photo": photo.id, "question": question.question, "answer": answer.text})
            if len(truth) == 1 and question.kind != "present" and not question.history:
                forced.add(question, "", runtime.mask_only(look, question.question).mask[None], truth)
    return {"model": spoken.summary(), "mask_only": forced.summary()}, spoken.confusions(), texts


def _masks(answer: Answer, size: np.ndarray) -> np.ndarray:
    return np.stack([s.mask for s in answer.segments]) if answer.segments else np.zeros((0, *size), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.evaluate.bundle", description="Evaluates an exported bundle on the development photos."
    )
    parser.add_argument("--bundle", type=Path, required=True, help="folder that export wrote")
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--out", type=Path, required=True, help="file for figures and answers (JSON)")
    parser.add_argument("--record", action="store_true", help="write the figures into the bundle's manifest and model card")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    _, photos = split(load_coco(options.coco))
    runtime = Runtime.open(options.bundle, options.threads)
    figures, confusions, answers = evaluate_bundle(runtime, photos)
    if options.record:
        quality = {**runtime.manifest["quality"], "exported bundle": figures}
        save_manifest(options.bundle, {**runtime.manifest, "quality": quality})
    options.out.write_text(json.dumps({"figures": figures, "confusions": confusions, "answers": answers}, indent=1))
    print(json.dumps(figures, indent=1))
    for meant, said, times, asked in confusions:
        print(f"{meant}: {said} ({times} of {asked})")


if __name__ == "__main__":
    main()
