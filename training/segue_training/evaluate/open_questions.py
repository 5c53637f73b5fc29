"""Questions as newcomers ask them, written by hand: kinds of things, needs, which one, all, why, other languages, nothing there.

    python -m segue_training.evaluate.open_questions --coco DIR --out FILE (--model FILE | --bundle DIR | --url URL)

They are about the development photos and those of `examples/`. What a newcomer accepts is taken: one of the things, all of a
kind, or all of the set; the best of these counts. `open_questions.jsonl` has one question a line: `of`, the classes that
answer it, or `ids`, the annotations that do; a question without either is about something that is not there. For the
photos in `examples/`, which have no annotations, the first lines give outlines.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image
from tqdm import tqdm

from segue_training.data.photos import Instance, Photo, encode, load_coco, split
from segue_training.metrics import iou_of
from segue_training.model.config import COCO_NAMES
from segue_training.places import EXAMPLES

from .figures import FigureTable

Asker = Callable[[Photo], Callable[[str], tuple[str, np.ndarray]]]
"""A photo -> what answers a question about it with text and masks uint8[n, h, w]."""


@dataclass(frozen=True)
class OpenQuestion:
    """A line of the file."""

    photo: int | str
    kind: str
    question: str
    of: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def truths(self, photo: Photo) -> list[np.ndarray]:
        """Every mask uint8[h, w] that is a right answer: each thing, all of each class, all together. Empty: no mask is right."""
        things = [i for i in photo.instances if i.id in self.ids or COCO_NAMES[i.label] in self.of]
        if not things and (self.ids or self.of):
            raise ValueError(f"{self.question!r}: photo {self.photo} has none of {self.ids or self.of}")
        classes = {label: [i for i in things if i.label == label] for label in {i.label for i in things}}
        groups = [[thing] for thing in things] + list(classes.values()) + [things]
        unique = {tuple(sorted(thing.id for thing in group)): group for group in groups if group}
        return [np.maximum.reduce([thing.mask() for thing in group]) for group in unique.values()]


def load() -> tuple[list[OpenQuestion], list[Photo]]:
    """The questions, and the photos of `examples/` with their outlines as instances."""
    questions, photos = [], []
    for line in files(__package__).joinpath("open_questions.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "outlines" in entry:
            photos.append(_example(entry["photo"], entry["outlines"]))
        else:
            questions.append(OpenQuestion(**entry))
    return questions, photos


def _example(name: str, outlines: dict[str, list[tuple[float, float]]]) -> Photo:
    with Image.open(EXAMPLES / name) as image:
        width, height = image.size
    photo = Photo(0, EXAMPLES / name, width, height)
    for thing, outline in outlines.items():
        mask = encode([[value for point in outline for value in point]], height, width)
        photo.instances.append(Instance(-1 - len(photo.instances), COCO_NAMES.index(thing), mask, 0.0, (0, 0, 0, 0), False))
    return photo


def best_iou(masks: np.ndarray, truths: list[np.ndarray]) -> float:
    """IoU of all masks together with the truth that suits them best; 0 without a mask."""
    if not len(masks):
        return 0.0
    drawn = masks.max(0)
    return max(iou_of(drawn, truth) for truth in truths)


class OpenAnswer(TypedDict):
    """What was said to an open question."""

    photo: int | str
    kind: str
    question: str
    answer: str
    masks: int
    right: float
    """IoU with what suits best; without a target 1 for no mask and 0 for any."""
    target: bool


def measure(
    ask: Asker, photos: Iterable[Photo], questions: list[OpenQuestion] | None = None
) -> tuple[FigureTable, list[OpenAnswer]]:
    """Figures by kind of question, and every answer. questions: those of the file unless given."""
    written, examples = load()
    questions = written if questions is None else questions
    by_photo = {photo.id: photo for photo in photos} | {photo.path.name: photo for photo in examples}
    asked = defaultdict(list)
    for question in questions:
        asked[question.photo].append(question)
    answers: list[OpenAnswer] = []
    for key, mine in tqdm(asked.items(), desc="open questions"):
        answer = ask(by_photo[key])
        for question in mine:
            text, masks = answer(question.question)
            truths = question.truths(by_photo[key])
            right = best_iou(masks, truths) if truths else float(len(masks) == 0)
            answers.append(
                {
                    "photo": key,
                    "kind": question.kind,
                    "question": question.question,
                    "answer": text,
                    "masks": len(masks),
                    "right": round(right, 3),
                    "target": bool(truths),
                }
            )
    return summary(answers), answers


def summary(answers: list[OpenAnswer]) -> FigureTable:
    """Mean IoU of questions with a target, the share without a mask of the others, and both by kind."""
    kinds = defaultdict(list)
    for answer in answers:
        kinds[answer["kind"]].append(answer["right"])
        kinds["open" if answer["target"] else "nothing there"].append(answer["right"])
    return {kind: {"questions": len(found), "right": round(sum(found) / len(found), 4)} for kind, found in kinds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.evaluate.open_questions", description="Asks what newcomers ask."
    )
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="file written by segue_training.train")
    source.add_argument("--bundle", type=Path, help="folder that export wrote")
    source.add_argument("--url", help="address of a running service")
    parser.add_argument("--out", type=Path, required=True, help="file for figures and answers (JSON)")
    options = parser.parse_args()
    _, photos = split(load_coco(options.coco))
    if options.model:
        ask = _model_asker(options.model)
    elif options.bundle:
        ask = _bundle_asker(options.bundle)
    else:
        ask = _service_asker(options.url)
    figures, answers = measure(ask, photos)
    options.out.write_text(json.dumps({"figures": figures, "answers": answers}, indent=1, ensure_ascii=False))
    print(json.dumps(figures, indent=1))


def _model_asker(path: Path) -> Asker:
    from segue_training.model.generate import Answerer
    from segue_training.model.segue_model import load_model

    answerer = Answerer(load_model(path))

    def ask(photo: Photo) -> Callable[[str], tuple[str, np.ndarray]]:
        picture = answerer.look(photo.pixels)

        def answer(question: str) -> tuple[str, np.ndarray]:
            said = answerer.answer(picture, [question])[0]
            return said.text, answerer.masks(picture, said.prompts)

        return answer

    return ask


def _bundle_asker(folder: Path) -> Asker:
    from segue_training.bundle.runtime import Runtime

    runtime = Runtime.open(folder)

    def ask(photo: Photo) -> Callable[[str], tuple[str, np.ndarray]]:
        look = runtime.look(Image.fromarray(photo.pixels))

        def answer(question: str) -> tuple[str, np.ndarray]:
            said = runtime.reply(look, question)
            return said.text, np.stack([s.mask for s in said.segments]) if said.segments else np.zeros((0, 0, 0), np.uint8)

        return answer

    return ask


def _service_asker(url: str) -> Asker:
    from .service import ask as post

    return lambda photo: lambda question: post(url.rstrip("/"), photo.path, question, [])


if __name__ == "__main__":
    main()
