"""Scores a model on a folder in ReasonSeg's layout, exactly as LISA's validation does.

    segue-reasonseg --data DIR (--bundle DIR | --through HOST:PORT) [--mode free] [--out FILE]

DIR holds NAME.jpg beside NAME.json, one folder a split. `short` queries are phrases, `long` ones sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from .folder import Folder, Sample, WithoutPolygons, read_folder
from .options import Report, add_options, header, open_way, run
from .queries import instruction
from .scoring import Question, score

SHORT, LONG = "short", "long"


def questions(folder: Folder) -> Iterator[tuple[Path, list[Question]]]:
    """One question about each picture: the annotation's first text in its template."""
    for sample in folder.samples:
        annotation = sample.annotation
        asked = instruction(annotation.query, annotation.is_sentence)
        yield sample.picture, [Question(annotation.query, asked, group(sample), partial(annotation.paint, *sample.size))]


def group(sample: Sample) -> str:
    return LONG if sample.annotation.is_sentence else SHORT


def evaluate(options: argparse.Namespace) -> Report:
    """The report of a whole folder."""
    folder = read_folder(options.data, options.skip_broken, options.without_polygons)
    way = open_way(options)
    asked = tqdm(questions(folder), total=len(folder.samples), desc=options.data.name)
    scores = score(way, options.mode, options.several, (SHORT, LONG), asked)
    groups = [group(sample) for sample in folder.samples]
    return {
        **header("ReasonSeg layout", options, way, scores),
        "data": {
            "folder": str(options.data),
            "split": options.split or options.data.resolve().name,
            "pictures": len(groups),
            SHORT: groups.count(SHORT),
            LONG: groups.count(LONG),
            "without_target": folder.without_target,
            "skipped": [asdict(problem) for problem in folder.skipped],
        },
        **scores.as_json(),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="segue-reasonseg", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of one split: NAME.jpg beside NAME.json")
    parser.add_argument("--split", help="name of the split in the report; the folder's name otherwise")
    parser.add_argument("--skip-broken", action="store_true", help="leave out what cannot be scored, and list it")
    parser.add_argument(
        "--without-polygons",
        choices=get_args(WithoutPolygons),
        default="stop",
        help="an annotation without polygons: refuse it, expect an empty mask as LISA's code does, or leave it out",
    )
    add_options(parser)
    run(parser, evaluate, arguments)
