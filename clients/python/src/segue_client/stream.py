"""An answer as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from httpx_sse import EventSource

from .answer import Answer, Segment, Turn, answer_from, segment_from
from .errors import LATE, CancelledError, DeadlineExceededError, UnavailableError, error_of
from .picture import Picture


@dataclass(frozen=True)
class Restarted:
    """The answer is written anew, since a worker was lost: what came so far counts no more."""


Part = str | Segment | Restarted | Answer


class Parts:
    """Makes parts of an answer of the events in a response."""

    def __init__(
        self, response: httpx.Response, instruction: str, history: tuple[Turn, ...], picture: Picture | None
    ) -> None:
        self.response = response
        self.events = EventSource(response)
        self._context = (instruction, history, picture)
        self._ended = False

    def of(self, data: str) -> Iterator[Part]:
        event = json.loads(data)
        match event["type"]:
            case "text":
                yield str(event["text"])
            case "segment":
                yield segment_from(event["segment"])
            case "restarted":
                yield Restarted()
            case "completed":
                self._ended = True
                yield answer_from(event["answer"], *self._context)
            case "failed":
                raise error_of(event["error"]["code"], event["error"]["message"], event["error"].get("details"))
            case "cancelled":
                raise CancelledError("The job was cancelled.")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Gives what breaks while the events are read as a SegueError, also an end that comes too early."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise DeadlineExceededError(LATE) from error
        except httpx.TransportError as error:
            raise UnavailableError(f"The connection to {self.response.url} broke ({error}). Ask again.") from error
        if not self._ended:
            raise UnavailableError("The service ended the answer early. Ask again.")
