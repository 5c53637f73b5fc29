"""A picture as a model is shown it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from .problems import Problem, ProblemError


def read_picture(path: Path) -> Image.Image:
    """RGB, upright by its EXIF orientation, alpha dropped; the polygons are drawn on this one. Raises ProblemError."""
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ProblemError([Problem(str(path), f"cannot be read as a picture: {error}", "Fetch the picture again.")]) from error
