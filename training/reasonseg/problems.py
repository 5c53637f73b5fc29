"""What keeps a file from being scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A file, what is wrong with it and what to do."""

    file: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}\n    {self.advice}"


class ProblemError(Exception):
    """Scoring cannot begin or go on; holds every problem that was found."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))
