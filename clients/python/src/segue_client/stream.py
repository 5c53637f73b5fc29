"""An answer as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from .answer import Answer, Segment, answer_from, segment_from
from .calls import Service, form_of
from .errors import CancelledError, DeadlineExceededError, UnavailableError, error_from_response, error_of
from .picture import Picture, PictureLike, read_picture

_SLACK_S = 2.0


@dataclass(frozen=True)
class Restarted:
    """The answer is written anew, since a worker was lost: what came so far counts no more."""


Part = str | Segment | Restarted | Answer


def open_stream(
    service: Service, about: PictureLike, question: str, timeout: float, model: str | None
) -> tuple[httpx.Request, Picture]:
    """The request of a stream, and its picture."""
    picture = about if isinstance(about, Picture) else read_picture(about)
    asked = {"instruction": question, "timeout_ms": max(1, round(timeout * 1000)), **({"model": model} if model else {})}
    deadline = time.monotonic() + timeout + _SLACK_S
    request = service.request("POST", "v1/segment", deadline, accept="text/event-stream", **form_of(picture, asked))
    return request, picture


class Send(Protocol):
    def __call__(self, send: Any, **options: Any) -> httpx.Response: ...


@contextmanager
def sending(request: httpx.Request) -> Iterator[Send]:
    """Gives failures of the connection, then and later, as ours."""
    try:
        yield lambda send, **options: send(request, **options)
    except httpx.TimeoutException as error:
        raise DeadlineExceededError("The answer did not come in time. Allow more time.") from error
    except httpx.TransportError as error:
        raise UnavailableError(f"The connection to {request.url} broke: is the service running there? ({error})") from error


class Parts:
    """Makes parts of an answer of the events of a stream. Raises SegueError for a response that is none."""

    def __init__(self, response: httpx.Response, question: str, picture: Picture) -> None:
        if not response.is_success:
            raise error_from_response(response)
        self._question = question
        self._picture = picture
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
                yield answer_from(event["answer"], self._question, (), self._picture)
            case "failed":
                raise error_of(event["error"]["code"], event["error"]["message"], event["error"].get("details"))
            case "cancelled":
                raise CancelledError("The job was cancelled.")

    def end(self) -> None:
        if not self._ended:
            raise UnavailableError("The service ended the answer early. Ask again.")
