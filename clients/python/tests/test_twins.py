"""The two clients have the same calls, which take and give the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from conftest import PHOTO
from service import Proxy

from segue_client import Answer, AsyncClient, Client, Job, NotFoundError, Part, Segment

QUESTION = "What is here?"


def calls_of(client: type) -> dict[str, Any]:
    return {name: call for name, call in vars(client).items() if not name.startswith("_")}


def taken_and_given(call: Any) -> tuple[list[Any], Any]:
    """Parameters with their types and defaults; and what comes, with iterators for asynchronous ones."""
    hints = get_type_hints(call)
    given = hints.pop("return")
    if get_origin(given) is AsyncIterator:
        given = Iterator[get_args(given)]  # type: ignore[misc]
    return [(p.name, p.kind, p.default, hints.get(p.name)) for p in inspect.signature(call).parameters.values()], given


@pytest.mark.parametrize("name", sorted({*calls_of(Client), *calls_of(AsyncClient), "__init__"}))
def test_a_call_is_the_same_for_both(name: str) -> None:
    blocking, asynchronous = getattr(Client, name), getattr(AsyncClient, name)
    assert taken_and_given(asynchronous) == taken_and_given(blocking)


def test_the_asynchronous_client_streams_a_conversation(url: str) -> None:
    async def conversation() -> list[list[Part]]:
        async with AsyncClient(url) as client:
            first = [part async for part in client.stream(PHOTO, QUESTION)]
            assert isinstance(first[-1], Answer)
            return [first, [part async for part in client.stream(first[-1], "And the spoon?", max_tokens=8)]]

    for parts, question in zip(asyncio.run(conversation()), (QUESTION, "And the spoon?"), strict=True):
        answer = parts[-1]
        assert isinstance(answer, Answer)
        assert answer.instruction == question
        assert "".join(part for part in parts if isinstance(part, str)) == answer.text
        assert [part for part in parts if isinstance(part, Segment)] == list(answer.segments)


def test_the_asynchronous_client_lists_jobs(url: str) -> None:
    async def listed() -> list[Job]:
        async with AsyncClient(url) as client:
            job = await client.submit(PHOTO, QUESTION)
            await client.wait(job.job_id)
            return [found async for found in client.jobs(state="completed") if found.job_id == job.job_id]

    assert [job.instruction for job in asyncio.run(listed())] == [QUESTION]


def test_a_streamed_question_is_tried_again_and_sends_its_picture_again(proxy: Proxy) -> None:
    with Client(proxy.url) as client:
        first = client.ask(PHOTO, QUESTION)
        proxy.failures += [(503, {"retry-after": "0"}), (404, {})]
        *_, second = client.stream(first, "And the spoon?")
    assert isinstance(second, Answer)
    assert second.history == first.turns
    large = [len(request.content) > PHOTO.stat().st_size for request in proxy.seen]
    assert large == [True, False, False, True]


def test_a_stream_without_its_picture_fails(url: str) -> None:
    with Client(url) as client:
        answer = client.ask(PHOTO, QUESTION)
        lost = Answer(**{**vars(answer), "image_id": "0" * 64, "picture": None})
        with pytest.raises(NotFoundError):
            list(client.stream(lost, QUESTION))


def test_an_answer_tells_its_tokens(url: str) -> None:
    with Client(url) as client:
        answer = client.ask(PHOTO, QUESTION)
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
