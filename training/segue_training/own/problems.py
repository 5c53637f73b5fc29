"""What is wrong in a folder of own data: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One finding. A warning leaves something out; anything else must be mended first."""

    file: str
    line: int | None
    """None where the file as a whole is meant."""
    what: str
    advice: str
    warning: bool = False

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {'warning: ' if self.warning else ''}{self.what}\n    {self.advice}"


class DataError(Exception):
    """Data that cannot be trained on; holds every problem that was found, warnings too."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        errors = sum(not problem.warning for problem in self.problems)
        listed = "\n".join(map(str, self.problems))
        super().__init__(f"{listed}\n{errors} {'problem' if errors == 1 else 'problems'} to mend, nothing was trained.")


class Findings:
    """Problems as they are collected."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def error(self, file: str, line: int | None, what: str, advice: str) -> None:
        """Notes something that must be mended."""
        self.problems.append(Problem(file, line, what, advice))

    def warn(self, file: str, line: int | None, what: str, advice: str) -> None:
        """Notes something that is left out."""
        self.problems.append(Problem(file, line, what, advice, warning=True))

    @property
    def failed(self) -> bool:
        """Whether anything must be mended."""
        return any(not problem.warning for problem in self.problems)

    def raise_errors(self) -> None:
        """Raises DataError if anything must be mended."""
        if self.failed:
            raise DataError(self.problems)
