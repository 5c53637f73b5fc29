from __future__ import annotations

import asyncio

import pytest
from conftest import PHOTO
from service import Proxy

from segue_client import (
    Answer,
    AsyncClient,
    CancelledError,
    Client,
    InvalidArgumentError,
    NotFoundError,
    Restarted,
    Segment,
    SegueError,
)
from segue_client import UnavailableError as Unavailable

QUESTION = "What is here?"


def test_a_job_is_submitted_listed_and_waited_for(url: str) -> None:
    with Client(url) as client:
        job = client.submit(PHOTO, QUESTION)
        answer = client.wait(job.job_id)
        assert answer.text == client.ask(PHOTO, QUESTION).text
        assert client.job(job.job_id).answer == answer
        listed = next(found for found in client.jobs(state="completed") if found.job_id == job.job_id)
        assert listed.instruction == QUESTION
        assert listed.answer is None
        assert client.cancel(job.job_id).state == "completed"


def test_the_same_key_is_the_same_job(url: str) -> None:
    with Client(url) as client:
        first, second = (client.submit(PHOTO, QUESTION, idempotency_key="mine") for _ in range(2))
        assert first.job_id == second.job_id


def test_a_job_that_has_no_answer_says_why(url: str) -> None:
    with Client(url) as client:
        job = client.submit(PHOTO, QUESTION, timeout=0.001)
        with pytest.raises(SegueError):
            client.wait(job.job_id)
        job = client.submit(PHOTO, QUESTION, priority="low")
        client.cancel(job.job_id)
        with pytest.raises(CancelledError):
            client.wait(job.job_id)
        with pytest.raises(NotFoundError):
            client.job("0" * 32)


def test_the_asynchronous_client_does_the_same(url: str) -> None:
    async def run() -> Answer:
        async with AsyncClient(url) as client:
            job = await client.submit(PHOTO, QUESTION, priority="high")
            return await client.wait(job.job_id)

    assert asyncio.run(run()).instruction == QUESTION


def test_an_answer_comes_bit_by_bit(url: str) -> None:
    with Client(url) as client:
        parts = list(client.stream(PHOTO, QUESTION))
        answer = parts[-1]
        assert isinstance(answer, Answer)
        assert "".join(part for part in parts if isinstance(part, str)) == answer.text
        assert [part for part in parts if isinstance(part, Segment)] == list(answer.segments)
        with pytest.raises(InvalidArgumentError):
            list(client.stream(PHOTO, " "))
        for part in client.stream(PHOTO, QUESTION):
            assert part is not None
            break  # leaving the loop cancels the job


def test_an_answer_that_is_begun_anew_says_so(proxy: Proxy) -> None:
    proxy.failures = ["restart"]
    with Client(proxy.url) as client:
        lost, again, *parts = client.stream(PHOTO, QUESTION)
    assert (lost, again) == ("What a worker said that was lost.", Restarted())
    answer = parts[-1]
    assert isinstance(answer, Answer)
    assert "".join(part for part in parts if isinstance(part, str)) == answer.text


def test_a_stream_from_nowhere() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unavailable):
        list(client.stream(PHOTO, QUESTION))
