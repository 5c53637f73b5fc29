"""A picture on its way to an encoder and back: what a manifest's `images` entry says, in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class ImageInput:
    """The longest side is resized to the frame's, the rest is filled at the right and the bottom, then normalised."""

    frame: int
    fill: tuple[int, int, int] = (124, 116, 104)
    filter: str = "bilinear"
    rescale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def as_manifest(self) -> dict[str, Any]:
        return {
            "resize": {"rule": "longest_side", "size": self.frame, "filter": self.filter},
            "centreCrop": None,
            "pad": {"to": [self.frame] * 2, "when": "before_normalise", "value": list(self.fill)},
            "rescale": self.rescale,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @staticmethod
    def from_manifest(entry: dict[str, Any]) -> ImageInput:
        """Reads back what `as_manifest` wrote; other preprocessing is refused."""
        frame, pad = entry["resize"]["size"], entry["pad"]
        if entry["resize"]["rule"] != "longest_side" or not pad or pad["when"] != "before_normalise":
            raise ValueError("Only longest_side with padding before normalisation is supported here")
        values = {key: tuple(entry[key]) for key in ("mean", "std")}
        return ImageInput(frame, tuple(pad["value"]), entry["resize"]["filter"], entry["rescale"], **values)

    def prepare(self, picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture -> pixels float32[1, 3, frame, frame], resized size int64[2] and original size int64[2] (h, w)."""
        width, height = picture.size
        scale = self.frame / max(width, height)
        size = [max(1, int(side * scale + 0.5)) for side in (width, height)]
        frame = Image.new("RGB", (self.frame, self.frame), self.fill)
        frame.paste(picture.convert("RGB").resize(size, _FILTERS[self.filter]))
        values = np.asarray(frame, np.float32) * np.float32(self.rescale)
        values = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        pixels = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        return pixels, np.array(size[::-1], np.int64), np.array([height, width], np.int64)
