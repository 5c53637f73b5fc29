"""Asks Segue about pictures.

from segue_client import ask

answer = ask("coffee.jpg", "Where could I pour a drink?")
answer.words, answer.masks  # a sentence, and bool[segments, height, width]
"""

from __future__ import annotations

from typing import Any

from . import rle
from .answer import Answer, Segment, TokenUsage, Turn
from .async_client import AsyncClient
from .client import Client
from .coco import to_coco
from .errors import (
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    SegueError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from .folder import FolderAnswer, ask_folder
from .job import Job, JobState
from .picture import Picture, PictureLike
from .question import About
from .stream import Part, Restarted

__all__ = [
    "About",
    "AlreadyExistsError",
    "Answer",
    "AsyncClient",
    "CancelledError",
    "Client",
    "DeadlineExceededError",
    "FolderAnswer",
    "InternalError",
    "InvalidArgumentError",
    "Job",
    "JobState",
    "NotFoundError",
    "Part",
    "PermissionDeniedError",
    "Picture",
    "PictureLike",
    "ResourceExhaustedError",
    "Restarted",
    "Segment",
    "SegueError",
    "TokenUsage",
    "Turn",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "ask",
    "ask_async",
    "ask_folder",
    "rle",
    "to_coco",
]


def ask(about: About, question: str, **options: Any) -> Answer:
    """`Client().ask`, of a service at `SEGUE_URL` or http://localhost:8080."""
    with Client() as client:
        return client.ask(about, question, **options)


async def ask_async(about: About, question: str, **options: Any) -> Answer:
    """`AsyncClient().ask`, of a service at `SEGUE_URL` or http://localhost:8080."""
    async with AsyncClient() as client:
        return await client.ask(about, question, **options)
