"""The asynchronous client: the calls of the blocking one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from .answer import Answer
from .calls import Steps, T, Wait, service_at
from .client import Mode, Priority
from .job import Job, JobState, Waiting
from .picture import PictureLike
from .question import About
from .stream import Part


class AsyncClient:
    """`Client` for asyncio. Giving up a call (`task.cancel()`) closes its connection."""

    def __init__(self, url: str | None = None, *, headers: Mapping[str, str] | None = None, retries: int = 4) -> None:
        self.service = service_at(url, headers, retries)
        self._http = httpx.AsyncClient()

    async def ask(
        self,
        about: About,
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

    async def stream(
        self,
        about: About,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float = 60.0,  # noqa: ASYNC109 # the job's, which the service is told
    ) -> AsyncIterator[Part]:
        """As `Client.stream`."""
        opening = self.service.stream(
            about, question, timeout=timeout, mode=mode, model=model, max_tokens=max_tokens, priority=priority
        )
        parts = await self.run(opening, stream=True)
        try:
            with parts.reading():
                async for event in parts.events.aiter_sse():
                    for part in parts.of(event.data):
                        yield part
        finally:
            await parts.response.aclose()

    async def submit(
        self,
        about: PictureLike,
        question: str,
        *,
        mode: Mode = "answer",
        model: str | None = None,
        max_tokens: int | None = None,
        priority: Priority = "normal",
        timeout: float | None = None,  # noqa: ASYNC109
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
    ) -> Job:
        """As `Client.submit`."""
        return await self.run(
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

    async def jobs(self, *, state: JobState | None = None) -> AsyncIterator[Job]:
        """As `Client.jobs`."""
        token: str | None = None
        while True:
            page, token = await self.run(self.service.jobs(state, token))
            for job in page:
                yield job
            if token is None:
                return

    async def cancel(self, job_id: str) -> Job:
        """As `Client.cancel`."""
        return await self.run(self.service.cancel(job_id))

    async def run(self, steps: Steps[T], *, stream: bool = False) -> T:
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
                await asyncio.sleep(step.seconds)
                continue
            try:
                reply = await self._http.send(step, stream=stream)
                if not reply.is_success:
                    await reply.aread()
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
