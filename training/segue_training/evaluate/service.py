"""Asks a running service the evaluation questions over HTTP and scores its masks.

    python -m segue_training.evaluate.service --url http://127.0.0.1:8080 --coco DIR --questions FILE

FILE is OUT/questions.json of `segue_training.evaluate`; the figures have the same meaning as there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import requests
from pycocotools import mask as rle
from tqdm import tqdm

from segue_training.data.photos import load_coco
from segue_training.model.generate import Turns

from . import question_set as evaluation_set
from .figures import Figures


def ask(url: str, picture: Path, instruction: str, history: Turns, timeout_s: float = 120.0) -> tuple[str, np.ndarray]:
    """One question -> (text, masks uint8[segments, h, w]); raises on any status but 200."""
    turns = [{"instruction": question, "answer": answer} for question, answer in history]
    with picture.open("rb") as file:
        response = requests.post(
            f"{url}/v1/segment",
            files={"image": (picture.name, file, "image/jpeg")},
            data={"instruction": instruction, "history": json.dumps(turns)},
            timeout=timeout_s,
        )
    if response.status_code != 200:
        raise RuntimeError(f"{url} answered {response.status_code} to {instruction!r} about {picture.name}: {response.text}")
    answer = response.json()
    masks = [rle.decode(segment["mask"]) for segment in answer["segments"]]
    return answer["text"], np.stack(masks) if masks else np.zeros((0, 0, 0), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.evaluate.service", description="Scores a running service on the evaluation questions."
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="address of the gateway")
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--questions", type=Path, required=True, help="questions.json written by segue_training.evaluate")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file as well")
    options = parser.parse_args()
    photos, figures = {photo.id: photo for photo in load_coco(options.coco)}, Figures()
    for question in tqdm(evaluation_set.load(options.questions), desc="service"):
        photo = photos[question.photo]
        text, masks = ask(options.url.rstrip("/"), photo.path, question.question, question.history)
        figures.add(question, text, masks, question.masks(photo))
    summary = json.dumps(figures.summary(), indent=1)
    if options.out:
        options.out.write_text(summary)
    print(summary)


if __name__ == "__main__":
    main()
