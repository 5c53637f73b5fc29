"""Checks `annotations.json` (COCO) and the pictures of a folder of own data; finds everything wrong at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from pycocotools import mask as rle

from segue_training.data.photos import encode

from .json_lines import line_of, parse
from .problems import Findings

FILE = "annotations.json"
_TOP = {"images": "pictures", "annotations": "outlines", "categories": "names"}
_SLACK = 1.0  # pixels: annotation tools round
_ORIENTATION = 0x0112  # EXIF


def check_annotations(folder: Path, known: Sequence[str], control: Sequence[str], found: Findings) -> dict[str, Any] | None:
    """The parsed content, or None where it cannot be used at all.

    known: names that the base model has. control: tokens that a name must not hold.
    """
    if (content := _read(folder / FILE, found)) is None:
        return None
    categories = _by_id(content["categories"], "category", found)
    images = _by_id(content["images"], "image", found)
    annotations = _by_id(content["annotations"], "annotation", found)
    _check_categories(categories, known, control, found)
    for entry in images.values():
        _check_image(folder, entry, found)
    _check_twice(list(images.values()), "file_name", "image", found)
    for entry in annotations.values():
        _check_annotation(entry, images, categories, found)
    if not annotations:
        found.error(FILE, None, "there is not a single annotation", "Annotate the things that your questions are about.")
    return {"images": images, "annotations": annotations, "categories": categories}


def _read(path: Path, found: Findings) -> dict[str, Any] | None:
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found.error(FILE, None, "the file is not there", f"Export your annotations in COCO's format to {path}.")
        return None
    except UnicodeDecodeError as error:
        found.error(FILE, None, f"the file is not UTF-8 text ({error.reason})", "Save it as UTF-8.")
        return None
    except json.JSONDecodeError as error:
        found.error(
            FILE,
            error.lineno,
            f"this is not JSON: {error.msg} (column {error.colno})",
            "Mend the syntax at this place, or export the file again.",
        )
        return None
    missing = [key for key in _TOP if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    for key in missing:
        found.error(
            FILE,
            1,
            f"there is no list `{key}` ({_TOP[key]})",
            "COCO's format is an object with the lists `images`, `annotations` and `categories`.",
        )
    return None if missing else content


def _by_id(entries: list[Any], kind: str, found: Findings) -> dict[int, dict[str, Any]]:
    """Entries by id; those without a usable id are complained about and left out."""
    by_id: dict[int, dict[str, Any]] = {}
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or isinstance(entry.get("id"), bool) or not isinstance(entry.get("id"), int):
            found.error(
                FILE,
                line_of(entry),
                f"{kind} number {number} has no whole number as `id`",
                "Give every entry an `id` of its own.",
            )
        elif entry["id"] in by_id:
            first = line_of(by_id[entry["id"]])
            found.error(
                FILE,
                line_of(entry),
                f"{kind} {entry['id']}: the id is used twice, first on line {first}",
                "Give one of them another id.",
            )
        else:
            by_id[entry["id"]] = entry
    return by_id


def _check_twice(entries: list[dict[str, Any]], key: str, kind: str, found: Findings) -> None:
    seen: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        value = entry.get(key)
        if isinstance(value, str) and value in seen:
            what = f"{kind} {entry['id']}: `{key}` {value!r} is that of {kind} {seen[value]['id']} as well"
            found.error(FILE, line_of(entry), what, "Keep one of the two.")
        elif isinstance(value, str):
            seen[value] = entry


def _check_categories(
    categories: dict[int, dict[str, Any]], known: Sequence[str], control: Sequence[str], found: Findings
) -> None:
    for number, entry in categories.items():
        name, line = entry.get("name"), line_of(entry)
        if not isinstance(name, str) or not name.strip():
            found.error(FILE, line, f"category {number} has no name", "Give it a `name`: the word that people use for the thing.")
        elif token := next((token for token in control if token in name), None):
            found.error(
                FILE, line, f"category {number}: the name holds {token}", "This is a token of the model; choose a plain word."
            )
        elif name != name.strip() or (name not in known and name.lower() in known):
            found.error(
                FILE, line, f"category {number}: {name!r} is not how the model writes it", f"Write {name.strip().lower()!r}."
            )
    _check_twice(list(categories.values()), "name", "category", found)


def _check_image(folder: Path, entry: dict[str, Any], found: Findings) -> None:
    line, number, name = line_of(entry), entry["id"], entry.get("file_name")
    if not isinstance(name, str) or not name:
        found.error(FILE, line, f"image {number} has no `file_name`", "Name its file in the folder images/.")
        return
    path = folder / "images" / name
    if not path.resolve().is_relative_to((folder / "images").resolve()):
        found.error(
            FILE,
            line,
            f"image {number}: {name!r} leads out of the folder images/",
            "Put the picture into images/ and write its name alone.",
        )
        return
    try:
        with Image.open(path) as picture:
            picture.load()
            size, turned = picture.size, picture.getexif().get(_ORIENTATION, 1) != 1
    except FileNotFoundError:
        found.error(
            FILE,
            line,
            f"image {number}: images/{name} is not there",
            "Copy the picture there, or remove the image and its annotations.",
        )
        return
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        found.error(
            FILE, line, f"image {number}: images/{name} cannot be read ({error})", "Save the picture again as JPEG or PNG."
        )
        return
    if (entry.get("width"), entry.get("height")) != size:
        said = f"{entry.get('width')} x {entry.get('height')}"
        what = f"image {number}: `width` and `height` say {said}, images/{name} has {size[0]} x {size[1]}"
        found.error(
            FILE, line, what, "Use the picture that was annotated, or correct the two numbers if the outlines fit this one."
        )
    elif turned:
        found.error(
            FILE,
            line,
            f"image {number}: images/{name} is stored turned (EXIF)",
            "Save it upright, without the EXIF orientation, and annotate that.",
        )


def _check_annotation(
    entry: dict[str, Any], images: dict[int, dict[str, Any]], categories: dict[int, dict[str, Any]], found: Findings
) -> None:
    line, number = line_of(entry), entry["id"]
    if _entry(categories, entry.get("category_id")) is None:
        advice = "Add the category to `categories`, or use the id of one that is there."
        found.error(FILE, line, f"annotation {number}: there is no category {entry.get('category_id')!r}", advice)
    image = _entry(images, entry.get("image_id"))
    if image is None:
        found.error(
            FILE,
            line,
            f"annotation {number}: there is no image {entry.get('image_id')!r}",
            "Correct `image_id`, or remove the annotation.",
        )
        return
    height, width = image.get("height"), image.get("width")
    if not isinstance(height, int) or not isinstance(width, int):
        return  # the image itself was complained about
    shape: Any = entry.get("segmentation")
    problem = _polygon_problem(shape, height, width) if isinstance(shape, list) else _rle_problem(shape, height, width)
    if problem is not None:
        found.error(FILE, line, f"annotation {number}: {problem[0]}", problem[1])
    elif rle.area(encode(shape, height, width)) == 0:
        found.error(FILE, line, f"annotation {number}: the outline holds no pixel", "Draw it again, or remove the annotation.")


def _entry(table: dict[int, dict[str, Any]], key: Any) -> dict[str, Any] | None:
    return table.get(key) if isinstance(key, int) else None  # a list would not even be hashable


def _polygon_problem(polygons: list[Any], height: int, width: int) -> tuple[str, str] | None:
    if not polygons:
        return "`segmentation` is empty", "A box is not enough: outline the thing with a polygon."
    for polygon in polygons:
        numbers = isinstance(polygon, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in polygon)
        if not numbers or len(polygon) < 6 or len(polygon) % 2:
            return (
                "a polygon is no list x1, y1, x2, y2, ... of at least three points",
                "Write an even number of at least 6 numbers for each polygon.",
            )
        for x, y in zip(polygon[::2], polygon[1::2], strict=True):
            if not (-_SLACK <= x <= width + _SLACK and -_SLACK <= y <= height + _SLACK):
                return (
                    f"the point ({x:g}, {y:g}) lies outside the picture of {width} x {height}",
                    "Are the coordinates in pixels of this picture? Clip the polygon to it.",
                )
    return None


def _rle_problem(shape: Any, height: int, width: int) -> tuple[str, str] | None:
    if not isinstance(shape, dict) or not isinstance(shape.get("counts"), (list, str)):
        return (
            "`segmentation` is neither polygons nor run lengths",
            'Write polygons, or {"size": [height, width], "counts": ...}.',
        )
    if shape.get("size") != [height, width]:
        return (
            f"the run lengths are for {shape.get('size')}, the picture has [{height}, {width}]",
            "Encode the mask at the picture's own size.",
        )
    counts = shape["counts"]
    if isinstance(counts, list):
        whole = all(isinstance(count, int) and count >= 0 for count in counts)
        covered = sum(counts) if whole else None
    else:
        covered = _covered(counts)
    if covered != height * width:
        said = "cannot be decoded" if covered is None else f"cover {covered} pixels, the picture has {height * width}"
        return f"the run lengths {said}", "Encode the mask again; pycocotools.mask.encode writes them."
    return None


def _covered(counts: str) -> int | None:
    """Pixels that compressed run lengths cover, None if they are broken. Read here, because pycocotools trusts what it gets."""
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value, shift, more = 0, 0, True
        while more:
            if position == len(counts) or not 48 <= ord(counts[position]) < 112:
                return None
            bits = ord(counts[position]) - 48
            value |= (bits & 31) << shift
            position, shift, more = position + 1, shift + 5, bool(bits & 32)
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            return None
    return sum(runs)
