"""The clients: the same calls, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from httpx_sse import EventSource

from .answer import Answer
from .calls import Service, Steps, Wait
from .job import Job, JobState, Waiting
from .picture import Picture, PictureLike
from .stream import Part, Parts, open_stream, sending

T = TypeVar("T")
Mode = Literal["answer", "mask_only"]
Priority = Literal["low", "normal", "high"]

DEFAULT_URL = "http://localhost:8080"


def _service(url: str | None, headers: Mapping[str, str] | None, retries: int) -> Service:
    key = os.environ.get("SEGUE_API_KEY")
    authorization = {"authorization": f"Bearer {key}"} if key else {}
    where = httpx.URL(url or os.environ.get("SEGUE_URL", DEFAULT_URL))
    return Service(where, {**authorization, **(headers or {})}, retries)


class Client:
    """Asks a Segue service.

    url: of the service, with a path if it has one there; `SEGUE_URL` or http://localhost:8080 unless given. headers: sent
    with every call; `Authorization` with the key in `SEGUE_API_KEY` unless given. retries: how often a call is sent again
    that the service could not take.
    """

    def __init__(self, url: str | None = None, *, headers: Mapping[str, str] | None = None, retries: int = 4) -> None:
        self.service = _service(url, headers, retries)
        self._http = httpx.Client()

    def ask(
        self,
        about: PictureLike | Picture | Answer,
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
        self, about: PictureLike, question: str, *, timeout: float = 60.0, model: str | None = None
    ) -> Iterator[Part]:
        """The answer as it comes: pieces of text, `Segment`s, at the end the `Answer`. Leaving the loop cancels the job."""
        request, picture = open_stream(self.service, about, question, timeout, model)
        with sending(request) as send:
            response = send(self._http.send, stream=True)
            try:
                if not response.is_success:
                    response.read()
                parts = Parts(response, question, picture)
                for event in EventSource(response).iter_sse():
                    yield from parts.of(event.data)
                parts.end()
            finally:
                response.close()

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

    def run(self, steps: Steps[T]) -> T:
        """Takes the steps of a call."""
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
                reply = self._http.send(step)
            except httpx.TransportError as error:
                reply = error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """`Client` for asyncio. Giving up a call (`task.cancel()`) closes its connection."""

    def __init__(self, url: str | None = None, *, headers: Mapping[str, str] | None = None, retries: int = 4) -> None:
        self.service = _service(url, headers, retries)
        self._http = httpx.AsyncClient()

    async def ask(
        self,
        about: PictureLike | Picture | Answer,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float = 60.0,  # noqa: ASYNC109 # the job's, which the service is told
        idempotency_key: str | None = None,
    ) -> Answer:
        """As `Client.ask`."""
        return await self.run(
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

    async def models(self) -> list[dict[str, Any]]:
        """As `Client.models`."""
        return await self.run(self.service.models())

    async def submit(self, about: PictureLike, question: str, *, timeout: float | None = None, **options: Any) -> Job:  # noqa: ASYNC109
        """As `Client.submit`."""
        key = options.pop("idempotency_key", None)
        return await self.run(self.service.submit(about, question, timeout=timeout, key=key, **options))

    async def job(self, job_id: str) -> Job:
        """As `Client.job`."""
        return await self.run(self.service.job(job_id))

    async def wait(self, job_id: str, *, timeout: float = 600.0) -> Answer:  # noqa: ASYNC109
        """As `Client.wait`."""
        waiting = Waiting(timeout)
        while True:
            if (answer := waiting.answer_of(await self.job(job_id))) is not None:
                return answer
            await asyncio.sleep(waiting.pause())

    async def cancel(self, job_id: str) -> Job:
        """As `Client.cancel`."""
        return await self.run(self.service.cancel(job_id))

    async def run(self, steps: Steps[T]) -> T:
        """Takes the steps of a call."""
        reply: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                value: T = end.value
                return value
            reply = None
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                continue
            try:
                reply = await self._http.send(step)
            except httpx.TransportError as error:
                reply = error

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
