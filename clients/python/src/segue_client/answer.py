"""What the service answers, with masks as numpy arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .display import to_html, to_image
from .picture import Picture
from .rle import Mask, Rle, decode

Body = Mapping[str, Any]
"""A JSON object of the service."""


@dataclass(frozen=True)
class Turn:
    """An earlier question about the same picture and what was answered."""

    instruction: str
    answer: str


@dataclass(frozen=True)
class Segment:
    """What one `<SEG>` of the text stands for."""

    index: int
    phrase: str
    """The words that name it."""
    span: tuple[int, int]
    """Where they stand in the text, as in `text[start:end]`."""
    rle: Rle
    """As `pycocotools.mask` takes it."""
    box: tuple[int, int, int, int]
    """x, y, width, height"""
    area: int
    score: float
    """0..1"""

    @cached_property
    def mask(self) -> Mask:
        """bool[height, width], of the picture's own size"""
        return decode(self.rle)


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of the language model."""

    prompt_tokens: int
    """Read, those of the picture included."""
    completion_tokens: int
    """Written."""


@dataclass(frozen=True)
class Answer:
    """A sentence, and a mask for each `<SEG>` in it. In a notebook it shows itself."""

    text: str
    segments: tuple[Segment, ...]
    model: str
    image_id: str
    """Names the picture to the service as long as it is kept."""
    job_id: str
    finish_reason: str
    """"stop", "length" (the answer was cut) or "mask_only"."""
    timings_ms: dict[str, float]
    usage: TokenUsage | None = None
    """None where the service does not tell it."""
    instruction: str = ""
    history: tuple[Turn, ...] = ()
    picture: Picture | None = field(default=None, repr=False, compare=False)
    body: Body = field(default_factory=dict, repr=False, compare=False)
    """As the service sent it; `answer_from` makes an answer of it again."""

    @property
    def words(self) -> str:
        """The text for people, without `<SEG>`."""
        return re.sub(r"\s*<SEG>", "", self.text)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """bool[segments, height, width]; without a segment the picture's size, or 0 x 0 where it is not known."""
        if self.segments:
            return np.stack([segment.mask for segment in self.segments])
        width, height = self.picture.image.size if self.picture else (0, 0)
        return np.zeros((0, height, width), np.bool_)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation up to and with this answer."""
        return (*self.history, Turn(self.instruction, self.text))

    def image(self) -> Image.Image:
        """The picture with the masks over it. Raises ValueError when the picture is not at hand."""
        if self.picture is None:
            raise ValueError("This answer does not know its picture; ask with the picture itself")
        return to_image(self.picture.image, [segment.mask for segment in self.segments])

    def records(self) -> list[dict[str, Any]]:
        """One flat row for each segment, or one without a phrase: `pandas.DataFrame(answer.records())`."""
        shared = {"question": self.instruction, "text": self.words, "model": self.model, "image_id": self.image_id}
        rows = [
            {
                **shared,
                "segment": s.index,
                "phrase": s.phrase,
                "score": s.score,
                "area": s.area,
                **dict(zip(("x", "y", "width", "height"), s.box, strict=True)),
                "rle": s.rle,
            }
            for s in self.segments
        ]
        return rows or [{**shared, "segment": None, "phrase": None, "score": None, "area": 0}]

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture, and the words with each phrase in its mask's colour."""
        return to_html(self.text, [segment.span for segment in self.segments], self.image() if self.picture else None)


def answer_from(body: Body, instruction: str = "", history: tuple[Turn, ...] = (), picture: Picture | None = None) -> Answer:
    """body: `Answer` of the HTTP interface, with masks as run lengths."""
    return Answer(
        text=body["text"],
        segments=tuple(segment_from(entry) for entry in body["segments"]),
        model=body["model"],
        image_id=body["image_id"],
        job_id=body["job_id"],
        finish_reason=body["finish_reason"],
        timings_ms=dict(body["timings_ms"]),
        usage=TokenUsage(**body["usage"]) if "usage" in body else None,
        instruction=instruction,
        history=history,
        picture=picture,
        body=body,
    )


def segment_from(body: Body) -> Segment:
    mask: Rle = {"size": list(body["mask"]["size"]), "counts": body["mask"]["counts"]}
    start, end = body["span"]
    x, y, width, height = body["box"]
    return Segment(
        index=body["index"],
        phrase=body["phrase"],
        span=(start, end),
        rle=mask,
        box=(x, y, width, height),
        area=body["area"],
        score=body["score"],
    )
