"""What the golden cases of `models/segue-smol` ask."""

from __future__ import annotations

from segue_training.bundle.golden import GoldenQuestion
from segue_training.places import EXAMPLES

_QUESTIONS = (
    ("coffee.jpg", "Can you segment the cup in this image?"),
    ("coffee.jpg", "What here could I drink from?"),
    ("coffee.jpg", "What could I stir a drink with?"),
    ("coffee.jpg", "Segment the cup and the spoon."),
    ("coffee.jpg", "Is there a dog in this image?"),
    ("cat.jpg", "Can you segment the cat in this image?"),
    ("cat.jpg", "Which animal is looking at me?"),
)


def golden_questions() -> list[GoldenQuestion]:
    """Questions about the repository's example photos."""
    return [GoldenQuestion(EXAMPLES / picture, text) for picture, text in _QUESTIONS]
