"""The clients: the same calls, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from .answer import Answer
from .calls import Service, Steps, Wait
from .picture import Picture, PictureLike

T = TypeVar("T")
Mode = Literal["answer", "mask_only"]
Priority = Literal["low", "normal", "high"]

DEFAULT_URL = "http://localhost:8080"


def _service(url: str | None, headers: Mapping[str, str] | None, retries: int) -> Service:
    return Service(httpx.URL(url or os.environ.get("SEGUE_URL", DEFAULT_URL)), dict(headers or {}), retries)


class Client:
    """Asks a Segue service.

    url: of the service, with a path if it has one there; `SEGUE_URL` or http://localhost:8080 unless given. headers: sent
    with every call, e.g. `Authorization`. retries: how often a call is sent again that the service could not take.
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
