"""What the questions are made of: names, synonyms, uses, descriptions, whole questions, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from segue_training.model.config import COCO_NAMES

if TYPE_CHECKING:
    import inflect


@dataclass
class Thing:
    """A nameable thing. `use` completes "to ..."; `description` completes "the ..."."""

    name: str
    synonyms: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    test_questions: list[str] = field(default_factory=list)
    reason: str = ""
    held_out: bool = False
    """Whether it is kept without reasoning questions on purpose, to measure what is not taught."""

    @property
    def reasoned(self) -> bool:
        """Whether training asks reasoning questions about it."""
        return bool(self.uses or self.descriptions or self.questions)


@dataclass(frozen=True)
class FollowUp:
    """A second question that refers back to a thing without naming it or what it means."""

    about: int
    question: str
    target: int


def load_follow_ups(things: list[Thing]) -> list[FollowUp]:
    """The follow-up questions; their things as indices into `things`."""
    index = {thing.name: i for i, thing in enumerate(things)}
    rows = (line.split(" | ") for line in lines_of("followups.txt"))
    return [FollowUp(index[about], question, index[target]) for about, question, target in rows]


def load_things(names: Sequence[str] = COCO_NAMES, held_out: Sequence[str] = ()) -> list[Thing]:
    """The model's `names` in channel order (COCO's 80 first), then things outside them.

    held_out: names that lose what training would ask reasoning questions from.
    """
    others = {thing.name: thing for thing in _others()}
    own = [others.pop(name) if name in others else Thing(name) for name in names[len(COCO_NAMES) :]]
    things = [*_coco(), *own, *others.values()]
    if [thing.name for thing in things[: len(COCO_NAMES)]] != list(COCO_NAMES):
        raise ValueError("reasoning.txt must describe COCO's 80 classes in their order")
    for thing in things:
        if thing.name in held_out:
            thing.held_out, thing.uses, thing.descriptions, thing.questions = True, [], [], []
    return things


def _coco() -> list[Thing]:
    things: list[Thing] = []
    fields = {"use": "uses", "is": "descriptions", "ask": "questions", "test": "test_questions"}
    for line in lines_of("reasoning.txt"):
        key, _, rest = line.partition(": ")
        if "|" in line:
            name, words = line.split("|")
            things.append(Thing(name.strip(), [word.strip() for word in words.split(",") if word.strip()]))
        elif key == "why":
            things[-1].reason = rest
        else:
            getattr(things[-1], fields[key]).extend(part.strip() for part in rest.split(";"))
    return things


def _others() -> list[Thing]:
    rows = (line.split("; ") for line in lines_of("other_things.txt"))
    return [Thing(name, uses=[use], descriptions=[description], questions=asked) for name, use, description, *asked in rows]


def languages() -> tuple[list[str], list[str]]:
    """Questions in other languages than English: for training, and those that training never shows."""
    found: dict[bool, list[str]] = {False: [], True: []}
    for line in lines_of("languages.txt"):
        language, _, questions = line.partition(": ")
        found[language == "test"].extend(questions.split("; "))
    return found[False], found[True]


def lines_of(name: str) -> list[str]:
    """The lines of a text file beside this one, without empty ones and comments."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


_ALREADY_PLURAL = {
    "skis",
    "scissors",
    "glasses",
    "sunglasses",
    "headphones",
    "grapes",
    "dice",
    "pliers",
    "tongs",
    "tweezers",
    "chopsticks",
    "stairs",
    "binoculars",
    "trousers",
    "jeans",
    "pajamas",
    "suspenders",
    "bagpipes",
    "dentures",
    "handcuffs",
    "cattle",
}


@cache
def _english() -> inflect.engine:
    import inflect  # takes seconds, which reading data can do without

    return inflect.engine()


def plural(name: str) -> str:
    """English plural of a name ("wine glass" -> "wine glasses")."""
    return name if name in _ALREADY_PLURAL | {"broccoli"} else _english().plural_noun(name)


def article(name: str) -> str:
    """The name with "a" or "an"; nothing for words that are plural already."""
    return name if name in _ALREADY_PLURAL else _english().a(name)


def join(parts: list[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
