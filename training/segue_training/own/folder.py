"""A folder of own data: `annotations.json` (COCO), `images/`, `questions.jsonl`; checked as a whole, then read.

Every category that has annotations counts as annotated completely: where nothing of it is marked, nothing of it is there.
Of everything else nothing is known.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue_training.data.photos import Photo, load_coco
from segue_training.data.scene import SEG
from segue_training.model.tokenization import SegueTokenizer

from .annotations import FILE, check_annotations
from .problems import Findings, Problem
from .questions import Marked, OwnQuestion, QuestionReader

LEAST_PICTURES = 5


@dataclass(frozen=True)
class OwnData:
    """Checked data; labels are indices into `names`."""

    names: tuple[str, ...]  # the base model's, then the new ones
    new: tuple[str, ...]
    photos: list[Photo]
    questions: list[OwnQuestion]
    kinds: list[list[str]]  # category names by super-category
    warnings: list[Problem]

    @property
    def labels(self) -> list[int]:
        """Annotated categories, ascending."""
        return sorted({thing.label for photo in self.photos for thing in photo.instances})


def read_own_data(folder: Path, known: tuple[str, ...], tokenizer: SegueTokenizer) -> OwnData:
    """Checks and reads. known: the base model's names. Raises DataError with every problem of the whole folder."""
    found = Findings()
    if not folder.is_dir():
        found.error(str(folder), None, "there is no such folder", f"It must hold {FILE}, images/ and questions.jsonl.")
        found.raise_errors()
    content = check_annotations(folder, known, (*tokenizer.added, SEG), found)
    sound = not found.failed
    files, marked = _index(content) if content is not None else (set(), {})
    names, kinds, photos = known, [], []
    if content is not None and sound:
        used = {annotation["category_id"] for annotation in content["annotations"].values()}
        categories = {
            category["name"]: category.get("supercategory") or category["name"]
            for number, category in content["categories"].items()
            if number in used
        }
        kinds = [[name for name, kind in categories.items() if kind == one] for one in dict.fromkeys(categories.values())]
        # Categories that nobody annotated are lists of tools, no promise that nothing of them is there.
        declared = (category["name"] for category in content["categories"].values())
        names = (*known, *(name for name in categories if name not in known))
        unused = tuple(name for name in declared if name not in names)
        photos = load_coco(folder, (*names, *unused))
        _mark_unsure(photos, names)
        if len(photos) < LEAST_PICTURES:
            found.error(
                FILE,
                1,
                f"there are {len(photos)} pictures",
                f"At least {LEAST_PICTURES} are needed, of which a fifth is kept to measure; 20 or more are better.",
            )
    questions = QuestionReader(marked, files, tokenizer, found).read(folder / "questions.jsonl", photos)
    found.raise_errors()
    return OwnData(names, names[len(known) :], photos, questions, kinds, found.problems)


def _index(content: dict[str, Any]) -> tuple[set[str], dict[int, Marked]]:
    """File names of the images, and what each annotation marks."""
    files = {number: image.get("file_name") for number, image in content["images"].items()}
    names = {number: category.get("name") for number, category in content["categories"].items()}

    def said(table: dict[int, Any], key: Any) -> str | None:
        value = table.get(key) if isinstance(key, int) else None
        return value if isinstance(value, str) else None

    marked = {
        n: Marked(said(files, a.get("image_id")), said(names, a.get("category_id"))) for n, a in content["annotations"].items()
    }
    return {name for name in files.values() if isinstance(name, str)}, marked


def _mark_unsure(photos: list[Photo], names: tuple[str, ...]) -> None:
    complete = {thing.label for photo in photos for thing in photo.instances}
    for photo in photos:
        photo.unsure = frozenset(range(len(names))) - complete


def hold_out(photos: list[Photo], share: float = 0.2) -> tuple[list[Photo], list[Photo]]:
    """(training, held out); by ids alone.

    Of every category some picture stays for training, and one to measure if there are two.
    """
    ids = sorted(photo.id for photo in photos)
    count = max(1, round(len(ids) * share))
    wanted = {label for photo in photos for label in photo.labels}
    twice = {label for label in wanted if sum(label in photo.labels for photo in photos) > 1}

    def missed(chosen: set[int]) -> tuple[int, int]:
        kept, out = ({label for p in photos if (p.id in chosen) == side for label in p.labels} for side in (False, True))
        return len(wanted - kept), len(twice - out)

    draws = [set(random.Random(seed).sample(ids, count)) for seed in range(50)]
    best = min(draws, key=missed)
    return [p for p in photos if p.id not in best], [p for p in photos if p.id in best]
