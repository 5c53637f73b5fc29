"""One annotation of the benchmark: a LabelMe-like JSON file with a query and polygons, and the mask that they paint.

Keys that are read: `text` (list of strings; evaluation uses the first), `is_sentence` (bool) and `shapes`, a list of
{`label`, `points` [[x, y], ...]} in picture pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segue_training.metrics import IGNORE

from .problems import Problem, ProblemError

_ENCODINGS = ("utf-8", "cp1252")
TARGET = 1


@dataclass(frozen=True)
class Shape:
    """A polygon and what it paints: 1 on the target, 255 where nothing is scored."""

    value: int
    points: np.ndarray
    """int32[n, 2], x and y"""


@dataclass(frozen=True)
class Annotation:
    query: str
    is_sentence: bool
    """A whole sentence ("long" query) rather than a phrase ("short" query)."""
    shapes: tuple[Shape, ...]
    """In the file's order, without the deprecated `flag` ones."""

    def paint(self, height: int, width: int) -> np.ndarray:
        """Expected mask uint8[height, width]: 0, 1 on the target, 255 where nothing is scored.

        Large polygons are painted first, so that small ones lie over them; size is what a polygon covers of this canvas.
        Of equally large ones the later one in the file is painted first, as upstream's reversed sort has it
        for up to 16 polygons; for more its order is not defined.
        """
        areas = [int(np.count_nonzero(_fill(shape.points, 1, np.zeros((height, width), np.uint8)))) for shape in self.shapes]
        canvas = np.zeros((height, width), np.uint8)
        for index in np.argsort(areas, kind="stable")[::-1]:
            _fill(self.shapes[index].points, self.shapes[index].value, canvas)
        return canvas


def _fill(points: np.ndarray, value: int, canvas: np.ndarray) -> np.ndarray:
    # Upstream draws the outline by `polylines` first; `fillPoly` draws the same pixels itself.
    cv2.fillPoly(canvas, [points], (value,))
    return canvas


def read_annotation(path: Path) -> Annotation:
    """Reads one file: UTF-8, otherwise Windows' cp1252. Raises ProblemError when it cannot be scored."""
    content = _parse(path)
    texts, is_sentence, entries = (content.get(key) for key in ("text", "is_sentence", "shapes"))
    if not isinstance(texts, list) or not texts or not isinstance(texts[0], str) or not texts[0].strip():
        raise _wrong(path, "`text` is not a list that begins with a query", 'Write "text": ["the query"].')
    if not isinstance(is_sentence, (bool, int)):
        raise _wrong(path, "`is_sentence` is missing", 'Write "is_sentence": true for a whole sentence, false for a phrase.')
    if not isinstance(entries, list):
        raise _wrong(path, "`shapes` is not a list", 'Write "shapes": [{"label": "target", "points": [[x, y], ...]}].')
    shapes = tuple(shape for number, entry in enumerate(entries, 1) if (shape := _shape(path, number, entry)))
    return Annotation(texts[0].strip(), bool(is_sentence), shapes)


def _parse(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    for encoding in _ENCODINGS:
        try:
            content = json.loads(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
        except json.JSONDecodeError as error:
            raise _wrong(path, f"not JSON: {error}", "Mend the file or fetch it again.") from error
        if not isinstance(content, dict):
            raise _wrong(path, "not a JSON object", "Write an object with `text`, `is_sentence` and `shapes`.")
        return content
    raise _wrong(path, f"neither {' nor '.join(_ENCODINGS)} text", "Save the file as UTF-8.")


def _shape(path: Path, number: int, entry: object) -> Shape | None:
    label = entry.get("label") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(label, str):
        raise _wrong(path, f"shape {number} has no `label`", 'Label it "target", "ignore" or "flag".')
    if label.lower() == "flag":
        return None
    try:
        points = np.array(entry.get("points"), np.float64)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) < 2**31).all():
        raise _wrong(
            path, f"shape {number} ({label}) has no usable `points`", "Write [[x, y], ...] in pixels, or remove the shape."
        )
    # Towards zero, not to the nearest pixel: that is what upstream's cast does.
    return Shape(IGNORE if "ignore" in label.lower() else TARGET, points.astype(np.int32))


def _wrong(path: Path, what: str, advice: str) -> ProblemError:
    return ProblemError([Problem(str(path), what, advice)])
