"""Ways of getting masks for a question, behind one interface: a bundle run here, or a running service (`service.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from segue_training.bundle.runtime import Runtime

from .picture import read_picture
from .problems import Problem, ProblemError


class Mode(StrEnum):
    TEACHER_FORCED = "teacher-forced"
    """The answer "<SEG>." is given, no words are produced: LISA's validation and the paper's figures."""
    FREE = "free"
    """The model writes its answer: what a user sees."""


MEANING = {
    Mode.TEACHER_FORCED: 'the answer "<SEG>." is given to the model, one prefill and no words, as in LISA\'s validation',
    Mode.FREE: "the model writes its answer; an answer without a mask counts as an empty mask",
}


class Several(StrEnum):
    """What is scored when a free answer holds several masks; the benchmark expects one."""

    FIRST = "first"
    """As LISA's chat and demo, which show the first alone."""
    UNION = "union"


@dataclass(frozen=True)
class Reply:
    text: str
    """The answer; "<SEG>" alone when it was given to the model."""
    masks: list[np.ndarray]
    """uint8[h, w], 0 or 1, at the picture's own size"""
    model: str

    def scored(self, size: tuple[int, int], several: Several) -> np.ndarray:
        """The one mask that is compared, uint8[h, w]; empty when there is none."""
        if not self.masks:
            return np.zeros(size, np.uint8)
        return self.masks[0] if several is Several.FIRST else np.maximum.reduce(self.masks)


Ask = Callable[[str], Reply]


class Way(Protocol):
    def describe(self) -> dict[str, str]:
        """How the answers were got, for the report."""
        ...

    def look(self, picture: Path) -> Ask:
        """A picture to ask any number of questions about; it is sent or encoded once."""
        ...


class BundleWay:
    """An exported bundle, run by ONNX Runtime in this process. Raises ProblemError when it cannot answer in this mode."""

    def __init__(self, folder: Path, mode: Mode, threads: int = 1):
        if not (folder / "manifest.json").is_file():
            raise ProblemError([Problem(str(folder), "no manifest.json in this folder", "Name a bundle that an export wrote.")])
        self._folder, self._mode, self._runtime = folder, mode, Runtime.open(folder, threads)
        manifest = self._runtime.manifest
        self._model = f"{manifest['name']}@{manifest['version']}"
        if mode is Mode.TEACHER_FORCED and manifest["language"]["modes"]["maskOnly"] is None:
            raise ProblemError([Problem(str(folder), "the bundle has no maskOnly mode", "Use --mode free.")])

    def describe(self) -> dict[str, str]:
        return {"kind": "bundle", "bundle": str(self._folder)}

    def look(self, picture: Path) -> Ask:
        seen = self._runtime.look(read_picture(picture))

        def ask(question: str) -> Reply:
            if self._mode is Mode.TEACHER_FORCED:
                return Reply(self._runtime.tokenizer.control.seg, [self._runtime.mask_only(seen, question).mask], self._model)
            answer = self._runtime.reply(seen, question)
            return Reply(answer.text, [segment.mask for segment in answer.segments], self._model)

        return ask
