"""A question as it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answer import Answer, Turn
from .picture import Picture, PictureLike, read_picture

About = PictureLike | Picture | Answer
"""What may be asked about: a picture, or an answer to go on with its conversation."""


@dataclass(frozen=True)
class Question:
    instruction: str
    history: tuple[Turn, ...]
    picture: Picture | None
    image_id: str | None
    """Names the picture instead of sending it."""
    timeout: float
    """Seconds for the job."""
    options: Mapping[str, Any]

    @property
    def context(self) -> tuple[str, tuple[Turn, ...], Picture | None]:
        """What an answer keeps of its question."""
        return self.instruction, self.history, self.picture

    def content(self, key: str | None) -> dict[str, Any]:
        """The body, as `httpx.Request` takes it. key: the idempotency key."""
        asked = {"instruction": self.instruction, "timeout_ms": max(1, round(self.timeout * 1000)), **self.options}
        if key is not None:
            asked["idempotency_key"] = key
        history = [{"instruction": turn.instruction, "answer": turn.answer} for turn in self.history]
        if self.image_id is not None:
            return {"json": {**asked, "image_id": self.image_id, "history": history}}
        assert self.picture
        return form_of(self.picture, {**asked, **({"history": json.dumps(history)} if history else {})})


def question_of(about: About, instruction: str, timeout: float, options: Mapping[str, Any]) -> Question:
    """options: those that are None are the service's to choose."""
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(about, Answer):
        return Question(instruction, about.turns, about.picture, about.image_id, timeout, given)
    picture = about if isinstance(about, Picture) else read_picture(about)
    return Question(instruction, (), picture, None, timeout, given)


def form_of(picture: Picture, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A picture's bytes as they are, and the options as texts."""
    files = {"image": (picture.name, picture.data, "application/octet-stream")}
    return {"data": {name: str(value) for name, value in asked.items()}, "files": files}
