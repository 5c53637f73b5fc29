"""Noun phrases of captions that name a COCO class: "a young boy", "his dog", "a yellow fire hydrant".

A determiner, at most four words, and a word for the class as the head. The rules rather miss a phrase than cut one wrongly.
"""

from __future__ import annotations

import re

from segue_training.data.bank import load_things, plural
from segue_training.model.config import COCO_NAMES

_DETERMINERS = {"a", "an", "the", "one", "this", "that", "his", "her", "its", "their"}
# A noun phrase ends before these; anything else behind a noun may make another noun of it ("a dog house", "a car door").
_BEHIND = {
    "is",
    "are",
    "was",
    "has",
    "have",
    "that",
    "which",
    "who",
    "and",
    "or",
    "with",
    "in",
    "on",
    "at",
    "of",
    "by",
    "to",
    "near",
    "next",
    "from",
    "for",
    "under",
    "over",
    "above",
    "below",
    "behind",
    "beside",
    "between",
    "against",
    "inside",
    "into",
    "through",
    "while",
    "as",
    "sits",
    "stands",
    "lies",
    "lays",
    "rides",
    "walks",
    "eats",
    "grazes",
    "sprays",
    "plays",
    "holds",
    "looks",
    "wears",
    "stares",
    "about",
}
# Between the determiner and the noun these show that the phrase is about something else.
_NOT_INSIDE = _BEHIND | _DETERMINERS | {"up", "down", "out", "off"}
_LONGEST = 4
"""Words between the determiner and the noun."""
# Further everyday words for people and plants; each stands for one class only.
_MORE = {"person": ("woman", "man", "boy", "girl", "child", "kid", "baby", "lady", "guy"), "potted plant": ("plant",)}


def _nouns() -> dict[str, int]:
    """Words for each class, singular -> label; a word of several classes is left out."""
    words: dict[str, set[int]] = {}
    for label, thing in enumerate(load_things()[: len(COCO_NAMES)]):
        for listed in (thing.name, *thing.synonyms, *_MORE.get(thing.name, ())):
            for word in listed.split(" or "):
                words.setdefault(word, set()).add(label)
    return {word: labels.pop() for word, labels in words.items() if len(labels) == 1}


_NOUNS = _nouns()
_LONGEST_NOUN = max(len(noun.split()) for noun in _NOUNS)
_OTHER_NOUNS = set(_NOUNS) | {plural(word) for word in _NOUNS}


def phrases(captions: list[str], label: int) -> list[str]:
    """Noun phrases of the captions whose head is a word for the class, lower case, each once."""
    found: dict[str, None] = {}
    for caption in captions:
        for clause in re.split(r"[^\w'\- ]+", caption.lower()):
            words, start = clause.split(), 0
            while start < len(words):
                end = start + _noun_length(words[start:])
                noun = " ".join(words[start:end])
                if _NOUNS.get(noun) == label and (phrase := _phrase(words, start, end)):
                    found[phrase] = None
                start = max(end, start + 1)
    return list(found)


def _noun_length(words: list[str]) -> int:
    """Words of the longest noun that the words begin with, whatever its class: a hot dog is no dog. 0 without one."""
    return next((length for length in range(min(_LONGEST_NOUN, len(words)), 0, -1) if " ".join(words[:length]) in _NOUNS), 0)


def _phrase(words: list[str], start: int, end: int) -> str | None:
    """The phrase with its head at words[start:end]; None unless its determiner is near and nothing else is in it."""
    behind = words[end] if end < len(words) else None
    if behind is not None and behind not in _BEHIND and not behind.endswith("ing"):
        return None
    for first in range(start - 1, max(-1, start - 2 - _LONGEST), -1):
        if words[first] in _DETERMINERS:
            return " ".join(words[first:end])
        if words[first] in _NOT_INSIDE or words[first] in _OTHER_NOUNS:
            return None
    return None
