"""Every call of the clients, written once: steps that send and wait, which a blocking and an asynchronous client take.

A call may always be sent again: what is only read stays the same, and a question carries an idempotency key, by which the
service finds the job that it started before.
"""

from __future__ import annotations

import base64
import os
import random
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from .answer import Answer, answer_from
from .errors import LATE, DeadlineExceededError, NotFoundError, SegueError, UnavailableError, error_from_response
from .job import Job, JobState, job_from
from .picture import PictureLike, read_picture
from .question import About, Question, form_of, question_of
from .stream import Parts

T = TypeVar("T")

LONGEST_WAIT_S = 30.0
"""Whoever is told to wait longer is asked to decide."""
_FIRST_WAIT_S = 0.25
_SLACK_S = 2.0
"""The service tells itself that a job ran out of time; the call waits a little longer than the job for that."""
_QUICK_S = 30.0
"""For calls that wait for no answer."""
USER_AGENT = f"segue-client-python/{version('segue-client')}"


@dataclass(frozen=True)
class Wait:
    seconds: float


Steps = Generator[httpx.Request | Wait, httpx.Response | httpx.TransportError | None, T]
"""Yields what to send, or how long to wait; is given the response, or what kept it from coming."""


@dataclass(frozen=True)
class Service:
    """Where the service is and how often a call is tried again that it could not take."""

    url: httpx.URL
    headers: dict[str, str]
    retries: int = 4

    def models(self) -> Steps[list[dict[str, Any]]]:
        body = yield from self._json("GET", "v1/models", time.monotonic() + _QUICK_S)
        models: list[dict[str, Any]] = body["models"]
        return models

    def job(self, job_id: str) -> Steps[Job]:
        return job_from((yield from self._json("GET", f"v1/jobs/{quote(job_id, safe='')}", time.monotonic() + _QUICK_S)))

    def cancel(self, job_id: str) -> Steps[Job]:
        return job_from((yield from self._json("DELETE", f"v1/jobs/{quote(job_id, safe='')}", time.monotonic() + _QUICK_S)))

    def jobs(self, state: JobState | None, page_token: str | None) -> Steps[tuple[list[Job], str | None]]:
        """A page of jobs, and where the next one begins."""
        given = {"state": state, "page_token": page_token}
        params = {name: value for name, value in given.items() if value is not None}
        body = yield from self._json("GET", "v1/jobs", time.monotonic() + _QUICK_S, params=params)
        return [job_from(entry) for entry in body["jobs"]], body.get("next_page_token")

    def submit(
        self, about: PictureLike, instruction: str, *, timeout: float | None, key: str | None, **options: Any
    ) -> Steps[Job]:
        """timeout: seconds for the job; the service's usual time unless given."""
        given = {name: value for name, value in options.items() if value is not None}
        limit = {} if timeout is None else {"timeout_ms": max(1, round(timeout * 1000))}
        asked = {"instruction": instruction, **limit, **given, "idempotency_key": key or uuid.uuid4().hex}
        content = form_of(read_picture(about), asked)
        return job_from((yield from self._json("POST", "v1/jobs", time.monotonic() + _QUICK_S, **content)))

    def detect(self, image: bytes, labels: list[str], threshold: float | None) -> Steps[list[dict[str, Any]]]:
        """Shapes as CVAT's detectors give them."""
        asked = {"image": base64.b64encode(image).decode(), "labels": labels, "threshold": threshold}
        deadline = time.monotonic() + _QUICK_S * max(1, len(labels))
        shapes: list[dict[str, Any]] = yield from self._json("POST", "cvat", deadline, json=asked)
        return shapes

    def ask(
        self, about: About, instruction: str, *, timeout: float, key: str | None = None, **options: Any
    ) -> Steps[Answer]:
        """about an `Answer`: a further question about its picture, in the same conversation."""
        asked = question_of(about, instruction, timeout, options)
        return answer_from((yield from self._send(asked, key or uuid.uuid4().hex)).json(), *asked.context)

    def stream(self, about: About, instruction: str, *, timeout: float, **options: Any) -> Steps[Parts]:
        """The answer as it comes; the response is not read yet. As it has no key, the job ends with its connection."""
        asked = question_of(about, instruction, timeout, options)
        return Parts((yield from self._send(asked, None, accept="text/event-stream")), *asked.context)

    def _send(self, asked: Question, key: str | None, **request: Any) -> Steps[httpx.Response]:
        """The service keeps pictures for a while only: one that it does not know any more is sent again."""
        deadline = time.monotonic() + asked.timeout + _SLACK_S
        try:
            return (yield from self._reply("POST", "v1/segment", deadline, **request, **asked.content(key)))
        except NotFoundError:
            if asked.image_id is None or asked.picture is None:
                raise
            # Another request needs another key.
            content = replace(asked, image_id=None).content(key and uuid.uuid4().hex)
            return (yield from self._reply("POST", "v1/segment", deadline, **request, **content))

    def _json(self, method: str, path: str, deadline: float, **content: Any) -> Steps[Any]:
        return (yield from self._reply(method, path, deadline, **content)).json()

    def _reply(self, method: str, path: str, deadline: float, **content: Any) -> Steps[httpx.Response]:
        """A call and its further tries. Raises SegueError."""
        tries = 0
        while True:
            reply = yield self.request(method, path, deadline, **content)
            error = self._error(reply, deadline)
            if error is None:
                assert isinstance(reply, httpx.Response)
                return reply
            wait = _wait(error, tries)
            if tries == self.retries or wait is None or time.monotonic() + wait >= deadline:
                raise error
            tries += 1
            yield Wait(wait)

    def request(
        self, method: str, path: str, deadline: float, accept: str = "application/json", **content: Any
    ) -> httpx.Request:
        """deadline: of `time.monotonic()`."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceededError(LATE)
        return httpx.Request(
            method,
            self.url.copy_with(path=f"{self.url.path.rstrip('/')}/{path}"),
            headers={"user-agent": USER_AGENT, "accept": accept, **self.headers},
            # One that connects slowly is as good as away; once connected, an answer may take all of the time.
            extensions={"timeout": httpx.Timeout(left, connect=min(left, 5.0)).as_dict()},
            **content,
        )

    def _error(self, reply: httpx.Response | httpx.TransportError | None, deadline: float) -> SegueError | None:
        if isinstance(reply, httpx.Response):
            return None if reply.is_success else error_from_response(reply)
        if isinstance(reply, httpx.TimeoutException) and time.monotonic() >= deadline - 0.05:
            return DeadlineExceededError(LATE)
        return UnavailableError(f"No answer from {self.url}: is the service running there? ({reply})")


def service_at(url: str | None, headers: Mapping[str, str] | None, retries: int) -> Service:
    """What is not given comes from the environment: `SEGUE_URL` and `SEGUE_API_KEY`."""
    key = os.environ.get("SEGUE_API_KEY")
    authorization = {"authorization": f"Bearer {key}"} if key else {}
    where = httpx.URL(url or os.environ.get("SEGUE_URL", "http://localhost:8080"))
    return Service(where, {**authorization, **(headers or {})}, retries)


def _wait(error: SegueError, tries: int) -> float | None:
    """Seconds before the next try, as the service says, else growing and random; None when trying makes no sense."""
    if not error.passes:
        return None
    wait = error.retry_after if error.retry_after is not None else _FIRST_WAIT_S * 2**tries * random.uniform(0.5, 1.5)
    return wait if wait <= LONGEST_WAIT_S else None
