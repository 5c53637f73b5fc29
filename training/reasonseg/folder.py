"""A folder in the benchmark's layout: NAME.jpg beside NAME.json, one folder a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .annotation import TARGET, Annotation, read_annotation
from .picture import read_picture
from .problems import Problem, ProblemError

WithoutPolygons = Literal["stop", "empty", "skip"]


@dataclass(frozen=True)
class Sample:
    picture: Path
    size: tuple[int, int]
    """Height and width in pixels."""
    annotation: Annotation


@dataclass
class Folder:
    """What will be scored, by name, and what will not."""

    path: Path
    samples: list[Sample] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    without_target: list[str] = field(default_factory=list)
    """Pictures whose right answer is an empty mask."""


def read_folder(path: Path, skip_broken: bool = False, without_polygons: WithoutPolygons = "stop") -> Folder:
    """Reads every annotation and decodes every picture once, so that nothing fails in the middle of scoring.

    Raises ProblemError with every problem of the folder, unless `skip_broken` leaves such files out. An annotation
    without any polygon is a question of its own: `empty` scores it as upstream's code does, against an empty mask.
    """
    pictures = sorted(path.glob("*.jpg")) if path.is_dir() else []
    if not pictures:
        advice = "Name the folder of one split, with NAME.jpg beside NAME.json."
        raise ProblemError([Problem(str(path), "no *.jpg in this folder" if path.is_dir() else "no such folder", advice)])
    folder = Folder(path)
    problems: list[Problem] = []
    for picture in pictures:
        try:
            sample = _read(picture, without_polygons == "empty")
        except ProblemError as error:
            by_choice = skip_broken or (without_polygons == "skip" and isinstance(error, WithoutPolygonsError))
            (folder.skipped if by_choice else problems).extend(error.problems)
            continue
        folder.samples.append(sample)
        if not any(shape.value == TARGET for shape in sample.annotation.shapes):
            folder.without_target.append(picture.name)
    if problems:
        raise ProblemError(problems)
    if not folder.samples:
        raise ProblemError(
            [Problem(str(path), "every picture of the folder was skipped", "Mend the files first."), *folder.skipped]
        )
    return folder


class WithoutPolygonsError(ProblemError):
    """An annotation is fine but for having nothing to paint."""


def _read(picture: Path, accept_empty: bool) -> Sample:
    file = picture.with_suffix(".json")
    if not file.is_file():
        advice = f"Put {file.name} beside it, or remove the picture."
        raise ProblemError([Problem(str(picture), "has no annotation", advice)])
    annotation = read_annotation(file)
    width, height = read_picture(picture).size
    if not annotation.shapes and not accept_empty:
        advice = (
            "LISA's code would score it against an empty mask: --without-polygons empty does the same, "
            "--without-polygons skip leaves it out."
        )
        raise WithoutPolygonsError([Problem(str(file), "has no polygons", advice)])
    return Sample(picture, (height, width), annotation)
