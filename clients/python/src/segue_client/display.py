"""Pictures with masks, and sentences whose phrases have their masks' colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from .rle import Mask

COLOURS = (
    (230, 57, 70),
    (29, 130, 200),
    (42, 157, 87),
    (244, 162, 35),
    (140, 80, 200),
    (0, 168, 168),
    (222, 90, 160),
    (120, 120, 40),
)
"""Of the first, second, ... segment; from the ninth on they begin again."""
_STRENGTH = 0.55
_LARGEST = 900
"""Sides in pixels of a picture in a notebook, at most."""


def to_image(picture: Image.Image, masks: Sequence[Mask]) -> Image.Image:
    """The picture with each mask in its colour over it."""
    pixels = np.asarray(picture, np.float32).copy()
    for index, mask in enumerate(masks):
        colour = np.array(COLOURS[index % len(COLOURS)], np.float32)
        pixels[mask] = pixels[mask] * (1 - _STRENGTH) + colour * _STRENGTH
    return Image.fromarray(pixels.round().astype(np.uint8))


def to_html(text: str, spans: Sequence[tuple[int, int]], image: Image.Image | None) -> str:
    """spans: half-open ranges of code points of the text, one for each segment."""
    parts, at = [], 0
    for index, (start, end) in sorted(enumerate(spans), key=lambda pair: pair[1]):
        if start < at or start == end:
            continue
        red, green, blue = COLOURS[index % len(COLOURS)]
        parts.append(_plain(text[at:start]))
        parts.append(
            f'<b style="color:#fff;background:rgb({red},{green},{blue});border-radius:3px;padding:0 3px">'
            f"{escape(text[start:end])}</b>"
        )
        at = end
    sentence = f"<p>{''.join(parts)}{_plain(text[at:])}</p>"
    return sentence if image is None else f'<img alt="{escape(text)}" src="{_data_url(image)}">{sentence}'


def _plain(text: str) -> str:
    return escape(text.replace(" <SEG>", "").replace("<SEG>", ""))


def _data_url(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_LARGEST, _LARGEST))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
