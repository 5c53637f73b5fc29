"""A job: a question that outlives the connection it was asked over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from .answer import Answer, Body, answer_from
from .errors import CancelledError, DeadlineExceededError, SegueError, error_of

JobState = Literal["queued", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True)
class Job:
    """What the service knows of a job."""

    job_id: str
    state: JobState
    created_at: datetime
    deadline_at: datetime
    instruction: str
    image_id: str
    answer: Answer | None
    """When it is completed; jobs in a list come without."""
    error: SegueError | None
    """Why it failed."""

    @property
    def ended(self) -> bool:
        return self.state not in {"queued", "running"}


def job_from(body: Body) -> Job:
    """body: `Job` of the HTTP interface."""
    answer, error = body.get("answer"), body.get("error")
    return Job(
        job_id=body["job_id"],
        state=body["state"],
        created_at=datetime.fromtimestamp(body["created_at_ms"] / 1000, UTC),
        deadline_at=datetime.fromtimestamp(body["deadline_at_ms"] / 1000, UTC),
        instruction=body["instruction"],
        image_id=body["image_id"],
        answer=answer_from(answer, body["instruction"]) if answer else None,
        error=error_of(error["code"], error["message"], error.get("details")) if error else None,
    )


class Waiting:
    """Looks at a job again and again, less often as time goes by."""

    def __init__(self, timeout: float) -> None:
        self._until = time.monotonic() + timeout
        self._pause = 0.1

    def answer_of(self, job: Job) -> Answer | None:
        """None while the job has not ended. Raises what it failed with."""
        if job.error is not None:
            raise job.error
        if job.state == "cancelled":
            raise CancelledError("The job was cancelled.")
        return job.answer

    def pause(self) -> float:
        """Seconds until the next look."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise DeadlineExceededError("The job has not ended yet. Wait for it again, or cancel it.")
        pause, self._pause = self._pause, min(2.0, self._pause * 1.5)
        return min(pause, left)
