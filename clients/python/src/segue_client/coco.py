"""Answers as a COCO file of annotations, which pycocotools and annotation tools read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .folder import FolderAnswer


def to_coco(results: Iterable[FolderAnswer]) -> dict[str, Any]:
    """One image for each answer, one annotation for each segment, one category for each phrase without its article.

    Pictures without a segment, and those that failed, are in it as images without annotations.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for number, result in enumerate(results, 1):
        width, height = _size(result)
        images.append({"id": number, "file_name": str(result.path), "width": width, "height": height})
        for segment in result.answer.segments if result.answer else ():
            name = _name(segment.phrase)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories.setdefault(name, len(categories) + 1),
                    "segmentation": segment.rle,
                    "bbox": list(segment.box),
                    "area": segment.area,
                    "iscrowd": 0,
                    "score": segment.score,
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }


def _name(phrase: str) -> str:
    first, _, rest = phrase.partition(" ")
    return (rest if rest and first.lower() in {"a", "an", "the"} else phrase) or "thing"


def _size(result: FolderAnswer) -> tuple[int, int]:
    if result.answer and result.answer.segments:
        height, width = result.answer.segments[0].rle["size"]
        return width, height
    if result.answer and result.answer.picture:
        return result.answer.picture.image.size
    return 0, 0
