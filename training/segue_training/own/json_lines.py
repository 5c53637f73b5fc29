"""JSON whose objects know the line they begin on, so that a complaint can name it."""

from __future__ import annotations

import json
from bisect import bisect_right
from json.decoder import JSONObject  # type: ignore[attr-defined] # neither is in the stubs
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any


class Located(dict[str, Any]):
    """A JSON object with the line (from 1) of its opening brace."""

    line: int = 0


class _Decoder(json.JSONDecoder):
    """The standard library's decoder in its Python form, which lets objects be built by other hands."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_object = self._located
        self.scan_once = py_make_scanner(self)
        self.breaks: list[int] = []

    def decode(self, text: str, *rest: Any) -> Any:
        self.breaks = [index for index, letter in enumerate(text) if letter == "\n"]
        return super().decode(text, *rest)

    def _located(self, state: tuple[str, int], *rest: Any) -> tuple[Located, int]:
        value, end = JSONObject(state, *rest)
        found = Located(value)
        found.line = bisect_right(self.breaks, state[1] - 1) + 1
        return found, end


def parse(text: str) -> Any:
    """As `json.loads`, with `Located` for dict. Raises json.JSONDecodeError."""
    return _Decoder().decode(text)


def line_of(value: Any) -> int | None:
    """The line of a located object; None for anything else."""
    return value.line if isinstance(value, Located) else None
