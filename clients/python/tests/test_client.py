from __future__ import annotations

import asyncio
import io
import time
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest
from conftest import PHOTO
from PIL import Image
from pycocotools import mask as coco
from service import Proxy, key_of

from segue_client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    PictureLike,
    ResourceExhaustedError,
    UnavailableError,
    ask,
)

QUESTION = "Where could I pour a drink?"


def test_three_lines(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_URL", url)
    answer = ask(PHOTO, QUESTION, mode="mask_only")
    assert answer.masks.shape == (1, 400, 600)
    assert answer.masks.dtype == np.bool_
    rle: Any = answer.segments[0].rle
    assert answer.masks[0].sum() == answer.segments[0].area == int(coco.area(rle))


def test_the_same_picture_in_every_form_gets_the_same_answer(url: str) -> None:
    image = Image.open(PHOTO).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with Client(url) as client:
        forms: list[PictureLike] = [buffer.getvalue(), image, np.asarray(image)]
        answers = [client.ask(form, QUESTION) for form in forms]
        assert len({(answer.text, answer.masks.tobytes()) for answer in answers}) == 1
        assert client.ask(str(PHOTO), QUESTION).masks.shape[1:] == (400, 600)


def test_the_asynchronous_client_says_the_same(url: str) -> None:
    async def both() -> list[str]:
        async with AsyncClient(url) as client:
            return [answer.text for answer in await asyncio.gather(*(client.ask(PHOTO, q) for q in (QUESTION, "The cup?")))]

    with Client(url) as client:
        assert asyncio.run(both()) == [client.ask(PHOTO, q).text for q in (QUESTION, "The cup?")]


def test_a_conversation_goes_on_without_the_picture(proxy: Proxy) -> None:
    with Client(proxy.url) as client:
        first = client.ask(PHOTO, QUESTION)
        second = client.ask(first, "And the spoon?")
    assert second.history == first.turns
    assert second.image_id == first.image_id
    sizes = [len(request.content) for request in proxy.seen]
    assert sizes[0] > PHOTO.stat().st_size > 10 * sizes[1]


def test_a_picture_that_is_not_kept_any_more_is_sent_again(proxy: Proxy) -> None:
    with Client(proxy.url) as client:
        first = client.ask(PHOTO, QUESTION)
        proxy.failures.append((404, {}))
        second = client.ask(first, "And the spoon?")
    assert second.history == first.turns
    assert [len(request.content) > PHOTO.stat().st_size for request in proxy.seen] == [True, False, True]


def test_it_waits_as_long_as_the_service_says(proxy: Proxy) -> None:
    proxy.failures += [(429, {"retry-after": "1"}), (503, {"retry-after": formatdate(time.time() + 3, usegmt=True)})]
    started = time.monotonic()
    with Client(proxy.url) as client:
        client.ask(PHOTO, QUESTION)
    assert time.monotonic() - started >= 1.9  # dates are whole seconds
    assert len(proxy.seen) == 3


def test_an_answer_that_got_lost_is_the_same_job(proxy: Proxy, url: str) -> None:
    proxy.failures.append("lose")
    with Client(proxy.url) as client:
        answer = client.ask(PHOTO, QUESTION)
    first, second = (key_of(request) for request in proxy.seen)
    assert first == second
    with Client(url) as client:
        assert client.ask(PHOTO, QUESTION, idempotency_key=first).job_id == answer.job_id


def test_it_gives_up_after_its_tries(proxy: Proxy) -> None:
    proxy.failures += [(503, {"retry-after": "0"})] * 9
    with Client(proxy.url, retries=2) as client, pytest.raises(UnavailableError):
        client.ask(PHOTO, QUESTION)
    assert len(proxy.seen) == 3


def test_what_makes_no_sense_is_not_tried_again(proxy: Proxy) -> None:
    with Client(proxy.url) as client:
        proxy.failures.append((429, {}))
        with pytest.raises(ResourceExhaustedError):
            client.ask(PHOTO, QUESTION)
        proxy.failures.append((503, {"retry-after": "3600"}))
        with pytest.raises(UnavailableError) as refused:
            client.ask(PHOTO, QUESTION)
    assert refused.value.retry_after == 3600
    assert len(proxy.seen) == 2


def test_errors_have_classes_and_say_what_to_do(url: str) -> None:
    with Client(url) as client:
        with pytest.raises(InvalidArgumentError, match="JPEG"):
            client.ask(b"no picture", QUESTION)
        with pytest.raises(NotFoundError, match="model"):
            client.ask(PHOTO, QUESTION, model="nobody")
        with pytest.raises(DeadlineExceededError):
            client.ask(PHOTO, QUESTION, timeout=0.001)
    with Client("http://127.0.0.1:9", retries=0) as nowhere, pytest.raises(UnavailableError, match="running"):
        nowhere.ask(PHOTO, QUESTION)


def test_models_are_named(url: str) -> None:
    with Client(url) as client:
        assert [model["is_default"] for model in client.models()].count(True) == 1
