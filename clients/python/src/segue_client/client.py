"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from .answer import Answer
from .calls import Steps, T, Wait, service_at
from .job import Job, JobState, Waiting
from .picture import PictureLike
from .question import About
from .stream import Part

Mode = Literal["answer", "mask_only"]
Priority = Literal["low", "normal", "high"]


class Client:
    """Asks a Segue service.

    url: of the service, with a path if it has one there; `SEGUE_URL` or http://localhost:8080 unless given. headers: sent
    with every call; `Authorization` with the key in `SEGUE_API_KEY` unless given. retries: how often a call is sent again
    that the service could not take.
    """

    def __init__(self, url: str | None = None, *, headers: Mapping[str, str] | None = None, retries: int = 4) -> None:
        self.service = service_at(url, headers, retries)
        self._http = httpx.Client()

    def ask(
        self,
        about: About,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float = 60.0,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Waits for the answer.

        about: a picture, or an answer to go on with its conversation. timeout: seconds for the whole job, tries included.
        idempotency_key: the same key with the same question gives the same job; a new one unless given.
        Raises SegueError, which has a class for each of the service's codes.
        """
        return self.run(
            self.service.ask(
                about,
                question,
                timeout=timeout,
                key=idempotency_key,
                mode=mode,
                model=model,
                max_tokens=max_tokens,
                priority=priority,
            )
        )

    def models(self) -> list[dict[str, Any]]:
        """What the service can answer with, as its HTTP interface says it."""
        return self.run(self.service.models())

    def stream(
        self,
        about: About,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float = 60.0,
    ) -> Iterator[Part]:
        """The answer as it comes: pieces of text, `Segment`s, at the end the `Answer`. Leaving the loop cancels the job.

        Takes what `ask` takes.
        """
        opening = self.service.stream(
            about, question, timeout=timeout, mode=mode, model=model, max_tokens=max_tokens, priority=priority
        )
        parts = self.run(opening, stream=True)
        try:
            with parts.reading():
                for event in parts.events.iter_sse():
                    yield from parts.of(event.data)
        finally:
            parts.response.close()

    def submit(
        self,
        about: PictureLike,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float | None = None,
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
    ) -> Job:
        """Submits a job, which outlives this process, and returns at once."""
        return self.run(
            self.service.submit(
                about,
                question,
                timeout=timeout,
                key=idempotency_key,
                mode=mode,
                model=model,
                max_tokens=max_tokens,
                priority=priority,
                webhook_url=webhook_url,
            )
        )

    def job(self, job_id: str) -> Job:
        """A job's state and, when it has ended, its answer or error."""
        return self.run(self.service.job(job_id))

    def wait(self, job_id: str, *, timeout: float = 600.0) -> Answer:
        """A job's answer. Raises what it failed with, CancelledError, or DeadlineExceededError after `timeout` seconds."""
        waiting = Waiting(timeout)
        while True:
            if (answer := waiting.answer_of(self.job(job_id))) is not None:
                return answer
            time.sleep(waiting.pause())

    def jobs(self, *, state: JobState | None = None) -> Iterator[Job]:
        """Jobs by creation, the newest first, without their answers, as far as the service lists them."""
        token: str | None = None
        while True:
            page, token = self.run(self.service.jobs(state, token))
            yield from page
            if token is None:
                return

    def cancel(self, job_id: str) -> Job:
        """Cancels a job; one that has ended stays as it is."""
        return self.run(self.service.cancel(job_id))

    def run(self, steps: Steps[T], *, stream: bool = False) -> T:
        """Takes the steps of a call. stream: a response that is no failure is left to be read."""
        reply: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                value: T = end.value
                return value
            reply = None
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                continue
            try:
                reply = self._http.send(step, stream=stream)
                if not reply.is_success:
                    reply.read()
            except httpx.TransportError as error:
                reply = error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
