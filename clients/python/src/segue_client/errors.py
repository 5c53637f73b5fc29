"""The failures of the service, one class for each of its codes. What they say is for the caller: it says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import httpx

LATE = "The answer did not come in time. Allow more time."


class SegueError(Exception):
    """A failure that the service told, or that kept it from being reached.

    code: as in gRPC, e.g. "NOT_FOUND". retry_after: seconds after which the service may be asked again.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after

    @property
    def passes(self) -> bool:
        """Whether the same question may succeed when it is asked again."""
        return False


class CancelledError(SegueError):
    """The job was cancelled."""

    code = "CANCELLED"


class InvalidArgumentError(SegueError):
    """The question, an option or the picture cannot be used."""

    code = "INVALID_ARGUMENT"


class DeadlineExceededError(SegueError):
    """The answer did not come in time."""

    code = "DEADLINE_EXCEEDED"


class NotFoundError(SegueError):
    """There is no such picture (any more), job or model."""

    code = "NOT_FOUND"


class AlreadyExistsError(SegueError):
    """The idempotency key was used for another question."""

    code = "ALREADY_EXISTS"


class PermissionDeniedError(SegueError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"


class ResourceExhaustedError(SegueError):
    """The service has too much to do, or the caller asked too much."""

    code = "RESOURCE_EXHAUSTED"

    @property
    def passes(self) -> bool:
        return self.retry_after is not None


class UnimplementedError(SegueError):
    """The service or the model cannot do this."""

    code = "UNIMPLEMENTED"


class InternalError(SegueError):
    """The service failed."""

    code = "INTERNAL"


class UnavailableError(SegueError):
    """The service cannot be reached, or not now."""

    code = "UNAVAILABLE"

    @property
    def passes(self) -> bool:
        return True


class UnauthenticatedError(SegueError):
    """The service does not know the caller."""

    code = "UNAUTHENTICATED"


_CLASSES: dict[str, type[SegueError]] = {kind.code: kind for kind in SegueError.__subclasses__()}
_CODE_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_of(code: str, message: str, details: Mapping[str, Any] | None = None) -> SegueError:
    """The error of a code that the service wrote down."""
    return _CLASSES.get(code, InternalError)(message, details=details)


def error_from_response(response: httpx.Response) -> SegueError:
    """What a response of another status than 2xx stands for: application/problem+json (RFC 9457), or a proxy's page."""
    try:
        body = response.json()
    except ValueError:
        body = None
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    code = problem.get("code", _CODE_OF_STATUS.get(response.status_code))
    fallback = InternalError if response.status_code >= 500 else InvalidArgumentError
    message = problem.get("detail") or (
        f"The server answered with status {response.status_code}. Is {response.url} the address of a Segue service?"
    )
    return _CLASSES.get(str(code), fallback)(
        str(message),
        details=problem.get("details"),
        retry_after=_seconds(response.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
