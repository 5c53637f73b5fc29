"""What a picture is known to hold, and what is asked and answered about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .bank import article, join

SEG = "<SEG>"
NOWHERE = -1  # the index of no class, whose code is all zeros
"""A target's landmark where there is none."""


@dataclass
class Scene:
    """`present` things are clearly visible, `absent` ones are surely not there, others are left alone.

    A scene comes from a photo's annotations or is a simulated one, in which a photo's classes carry other names.
    """

    present: dict[int, int]  # thing -> how many; the largest first
    absent: list[int]
    hinted: list[int] = field(default_factory=list)  # absent things that the detector half believes in
    neighbours: dict[int, set[int]] = field(default_factory=dict)  # thing -> things of its kind in the bank
    captions: list[str] = field(default_factory=list)
    unclear: list[int] = field(default_factory=list)  # things that are there or may be, but are not clearly visible


@dataclass
class Question:
    """A question with the answer that training expects."""

    kind: str
    text: str
    answer: str
    targets: Sequence[tuple[int, ...]] = ()
    """(thing, relation) or (thing, relation, landmark) for each <SEG>"""
    history: list[tuple[str, str]] = field(default_factory=list)  # earlier turns about the same picture


def refusal(name: str) -> str:
    """The answer when the thing is not there."""
    return f"There is no {name} in this image."


def nothing(need: str) -> str:
    """The answer when nothing there serves a need, such as "to eat"."""
    return f"There is nothing {need} in this image."


def only_things(word: str) -> str:
    """The answer when scenery is asked for, which has no mask."""
    return f"I can only mark things, not the {word}."


def seen(scene: Scene, names: list[str], asked: int | None = None, most: int = 3) -> str:
    """What is there instead, said after a refusal: things of the asked one's kind first, then the largest.

    Empty where nothing is.
    """
    akin = scene.neighbours.get(asked, set()) if asked is not None else set()
    order = sorted(scene.present, key=lambda thing: thing not in akin)[:most]
    return f" I see {join([article(names[thing]) for thing in order])}." if order else ""
