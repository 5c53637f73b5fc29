"""A picture on its way to an encoder and back: what a manifest's `images` entry says, in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class ImageInput:
    """A square frame. Either the picture's longest side fits it and the rest is filled at the right and the bottom, or its
    shortest side does and the middle is cut out. Then values are scaled and normalised."""

    frame: int
    fill: tuple[int, int, int] | None = (124, 116, 104)
    """Pixel value of the filling; None fills with 0 after normalising, as Segment Anything does. Unused when cropping."""
    filter: str = "bilinear"
    rescale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    crop: bool = False
    rounding: str = "half_up"
    """How a resized side becomes whole: `half_up` as Segment Anything, `down` as CLIP's image processor."""

    def as_manifest(self) -> dict[str, Any]:
        square = [self.frame] * 2
        resize = {"rule": "shortest_side" if self.crop else "longest_side", "size": self.frame, "filter": self.filter}
        if self.rounding != "half_up":
            resize["rounding"] = self.rounding
        when = "after_normalise" if self.fill is None else "before_normalise"
        return {
            "resize": resize,
            "centreCrop": square if self.crop else None,
            "pad": None if self.crop else {"to": square, "when": when, "value": list(self.fill or (0, 0, 0))},
            "rescale": self.rescale,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @staticmethod
    def from_manifest(entry: dict[str, Any]) -> ImageInput:
        """Reads back what `as_manifest` wrote. Raises ValueError for other preprocessing."""
        resize, pad = entry["resize"], entry["pad"]
        image = ImageInput(
            frame=resize["size"],
            fill=tuple(pad["value"]) if pad and pad["when"] == "before_normalise" else None,
            filter=resize["filter"],
            rescale=entry["rescale"],
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
            crop=entry["centreCrop"] is not None,
            rounding=resize.get("rounding", "half_up"),
        )
        if image.as_manifest() != entry:
            raise ValueError("Only square frames are supported here: padded at the longest side, or cropped in the middle")
        return image

    @property
    def dtype(self) -> type[np.generic]:
        """As what pixels travel: bytes where rescaling and normalising change nothing, else float32."""
        return np.uint8 if (self.rescale, self.mean, self.std) == (1.0, (0.0,) * 3, (1.0,) * 3) else np.float32

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the resized picture, before cropping and filling."""
        reference = (min if self.crop else max)(height, width)
        if self.rounding == "down":
            return max(1, self.frame * height // reference), max(1, self.frame * width // reference)
        scale = self.frame / reference
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def prepare(self, picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture -> pixels `dtype`[1, 3, frame, frame], resized size int64[2] and original size int64[2] (h, w)."""
        original = (picture.height, picture.width)
        height, width = self.fit(*original)
        resized = picture.convert("RGB").resize((width, height), _FILTERS[self.filter])
        if self.crop:
            left, top = (width - self.frame) // 2, (height - self.frame) // 2
            inside = resized.crop((left, top, left + self.frame, top + self.frame))
        elif self.fill is not None:
            inside = Image.new("RGB", (self.frame, self.frame), self.fill)
            inside.paste(resized)
        else:
            inside = resized
        values: np.ndarray = np.asarray(inside, np.float32) * np.float32(self.rescale)
        values = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        pixels = np.zeros((1, 3, self.frame, self.frame), self.dtype)
        pixels[0, :, : values.shape[0], : values.shape[1]] = values.transpose(2, 0, 1)
        return pixels, np.array((height, width), np.int64), np.array(original, np.int64)
