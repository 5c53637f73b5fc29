"""Kinds of things: what is an animal, what can be eaten, where one can sit."""

from __future__ import annotations

from dataclasses import dataclass, field

from .bank import Thing, lines_of


@dataclass
class Kind:
    """A kind of things, by a noun ("animal") or a need ("to eat"). Sets hold indices of things."""

    name: str
    nouns: list[tuple[str, str]] = field(default_factory=list)
    """Words for one and for several."""
    need: str = ""
    """Completes "There is nothing ... in this image."."""
    of: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)
    """Things that some would count; a picture that shows one says nothing about the kind."""
    why: tuple[str, str] = ("", "")
    """What is true of one ("it ...") and of several ("they ...")."""
    questions: list[str] = field(default_factory=list)
    test_questions: list[str] = field(default_factory=list)

    def known_in(self, annotated: set[int]) -> bool:
        """Whether a picture with these things surely shows no other thing of the kind than those in `of`."""
        return not annotated & self.unsure


def load_kinds(things: list[Thing]) -> list[Kind]:
    """The kinds of `kinds.txt`. Raises ValueError for a name that is no thing's and no kind's."""
    index = {thing.name: i for i, thing in enumerate(things)}
    kinds: dict[str, Kind] = {}
    for line in lines_of("kinds.txt"):
        key, separator, rest = line.partition(": ")
        if not separator:
            kind = kinds[line] = Kind(line)
        elif key == "noun":
            kind.nouns = [(one, many) for one, many in (pair.split(" | ") for pair in rest.split("; "))]
        elif key == "need":
            kind.need = rest
        elif key in ("of", "unsure"):
            getattr(kind, key).update(*(_members(name, kinds, index) for name in rest.split(", ")))
        elif key in ("why", "why all"):
            kind.why = (rest, kind.why[1]) if key == "why" else (kind.why[0], rest)
        else:
            {"ask": kind.questions, "test": kind.test_questions}[key].extend(rest.split("; "))
    for kind in kinds.values():
        kind.unsure -= kind.of
    return list(kinds.values())


def _members(name: str, kinds: dict[str, Kind], index: dict[str, int]) -> set[int]:
    if name.startswith("@"):
        return kinds[name[1:]].of
    if name not in index:
        raise ValueError(f"kinds.txt: {name!r} is the name of no thing")
    return {index[name]}
