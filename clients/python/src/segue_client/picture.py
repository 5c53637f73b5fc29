"""What may be asked about."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

PictureLike = str | PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A file, its bytes, a PIL image, or uint8[height, width, 3]."""


@dataclass(frozen=True)
class Picture:
    """A file, or the bytes of one. A file is read anew each time, so that many answers hold no pictures in memory."""

    source: Path | bytes
    name: str = "picture"

    @property
    def data(self) -> bytes:
        """As it is sent. Raises OSError for a file that cannot be read."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def image(self) -> Image.Image:
        """As a browser shows it, upright: masks have its size."""
        with Image.open(io.BytesIO(self.data)) as opened:
            upright = ImageOps.exif_transpose(opened)
            return upright.convert("RGB")


def read_picture(given: PictureLike) -> Picture:
    """Raises TypeError for an array of another kind."""
    if isinstance(given, bytes):
        return Picture(given)
    if isinstance(given, (str, PathLike)):
        return Picture(Path(given), Path(given).name)
    if isinstance(given, np.ndarray):
        if given.dtype != np.uint8 or given.ndim not in {2, 3}:
            raise TypeError(f"An array must be uint8[height, width, 3], not {given.dtype}{list(given.shape)}")
        given = Image.fromarray(given)
    buffer = io.BytesIO()
    given.save(buffer, "PNG")
    return Picture(buffer.getvalue(), "picture.png")
