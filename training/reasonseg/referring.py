"""Scores referring expressions on the development photos of a COCO-format folder: the set `segue-referring`.

    python -m reasonseg.referring --coco DIR (--bundle DIR | --through HOST:PORT) [--mode free] [--out FILE]

It is Segue's own set and no part of refCOCO; its figures compare Segue's models with each other alone. Asked and scored
as LISA does refCOCO: every expression counts on its own, in lower case, in the phrase template; cIoU is the headline.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from segue_training.data.photos import Photo, load_coco, split

from .expressions import KINDS, expressions
from .options import Report, add_options, header, open_way, run
from .problems import Problem, ProblemError
from .queries import instruction
from .scoring import Question, score

NAME = "segue-referring"


def questions(photos: list[Photo]) -> Iterator[tuple[Path, list[Question]]]:
    """Every expression of every photo that has any."""
    for photo in photos:
        asked = [
            Question(
                text := expression.text.strip().lower(),
                instruction(text, is_sentence=False),
                expression.kind,
                expression.target.mask,
            )
            for expression in expressions(photo)
        ]
        if asked:
            yield photo.path, asked


def evaluate(options: argparse.Namespace) -> Report:
    """The report on the development photos."""
    if not (options.coco / "annotations.json").is_file():
        advice = "Name a folder with annotations.json and images/."
        raise ProblemError([Problem(str(options.coco), "no annotations.json in this folder", advice)])
    photos = split(load_coco(options.coco))[1]
    asked = list(questions(photos))
    way = open_way(options)
    scores = score(way, options.mode, options.several, KINDS, tqdm(asked, desc=NAME))
    return {
        **header(f"{NAME} (Segue's own, not refCOCO)", options, way, scores),
        "data": {
            "folder": str(options.coco),
            "split": "development photos",
            "photos": len(photos),
            "photos_asked_about": len(asked),
        },
        **scores.as_json(),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reasonseg.referring", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    add_options(parser)
    run(parser, evaluate, arguments)


if __name__ == "__main__":
    main()
