"""Photos with instance masks from a COCO-format folder.

Expected: DIR/annotations.json (images, annotations, categories; an image may carry `captions`) and
DIR/images/FILE_NAME. A category name must be one that the model has, COCO's 80 unless told otherwise.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from segue_training.model.config import COCO_NAMES


class EncodedRle(TypedDict):
    """COCO's compressed run lengths."""

    size: list[int]  # height, width
    counts: str | bytes


class CocoRle(TypedDict):
    """Run lengths as a COCO file holds them, compressed or as numbers."""

    size: list[int]
    counts: str | list[int]


Segmentation = list[list[float]] | CocoRle
"""Polygons x, y, x, y, ... or run lengths."""


@dataclass(frozen=True)
class Instance:
    """One annotated thing of a photo."""

    id: int
    label: int  # index into the names that the folder was read with
    rle: EncodedRle  # at the photo's size
    area: float  # share of the photo, 0..1
    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in photo pixels
    crowd: bool

    def mask(self) -> np.ndarray:
        """uint8[h, w], 1 on the thing."""
        return rle.decode(self.rle)


@dataclass
class Photo:
    """One picture with its annotations."""

    id: int
    path: Path
    width: int
    height: int
    captions: list[str] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    unsure: frozenset[int] = frozenset()
    """Classes that nobody looked for: the photo may show them without an annotation."""

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8[h, w, 3] RGB."""
        with Image.open(self.path) as image:
            return np.asarray(image.convert("RGB"))

    def of(self, label: int) -> list[Instance]:
        """All instances of one class, crowds included."""
        return [instance for instance in self.instances if instance.label == label]

    @property
    def labels(self) -> list[int]:
        """Classes in the photo, ascending."""
        return sorted({instance.label for instance in self.instances})

    def single_targets(self) -> list[Instance]:
        """Things that are the only one of their class and cover 0.5-70 % of the photo."""
        found = []
        for label in self.labels:
            same = self.of(label)
            if len(same) == 1 and not same[0].crowd and 0.005 <= same[0].area <= 0.7:
                found.append(same[0])
        return found


def load_coco(folder: Path, known: Sequence[str] = COCO_NAMES) -> list[Photo]:
    """Reads a COCO-format folder; photos in ascending order of id, labels as indices into `known`."""
    content = json.loads((folder / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    unknown = sorted(set(names.values()) - set(known))
    if unknown:
        raise ValueError(f"{folder}/annotations.json: categories outside the model's {len(known)}: {', '.join(unknown)}")
    photos = {
        image["id"]: Photo(
            image["id"],
            folder / "images" / image["file_name"],
            image["width"],
            image["height"],
            image.get("captions", []),
        )
        for image in content["images"]
    }
    for annotation in content["annotations"]:
        photo = photos[annotation["image_id"]]
        encoded = encode(annotation["segmentation"], photo.height, photo.width)
        x, y, w, h = rle.toBbox(encoded).tolist()  # of the outline itself, which cannot contradict it
        photo.instances.append(
            Instance(
                annotation["id"],
                known.index(names[annotation["category_id"]]),
                encoded,
                float(rle.area(encoded)) / (photo.width * photo.height),
                (x, y, x + w, y + h),
                bool(annotation.get("iscrowd", 0)),
            )
        )
    return [photos[key] for key in sorted(photos)]


def encode(segmentation: Segmentation, height: int, width: int) -> EncodedRle:
    """COCO's polygons or run lengths -> compressed run lengths."""
    given: Any = segmentation  # pycocotools' types know whole numbers only
    if isinstance(segmentation, list):
        return rle.merge(rle.frPyObjects(given, height, width))
    if isinstance(segmentation["counts"], list):
        return rle.frPyObjects(given, height, width)
    return {"size": segmentation["size"], "counts": segmentation["counts"]}


def split(photos: list[Photo], held_out: int = 35) -> tuple[list[Photo], list[Photo]]:
    """(training photos, development photos); the development photos depend on the ids alone."""
    ids = sorted(photo.id for photo in photos)
    random.Random(0).shuffle(ids)
    dev = set(ids[:held_out])
    return [p for p in photos if p.id not in dev], [p for p in photos if p.id in dev]
