"""From annotated things to what a prompt can say: a name and a relation.

The model points at things by name and place: the only one, all of them, or the one furthest left, right, up or down, the
largest, smallest or middle one. A target that none of these describes cannot be learnt.
"""

from __future__ import annotations

import math

from segue_training.data.photos import Instance, Photo
from segue_training.data.which import RELATION_PHRASES
from segue_training.model.config import RELATIONS

_WORDS = {name: {word for phrase in phrases for word in phrase.split()} for name, phrases in RELATION_PHRASES.items()}
_NEUTRAL = {
    word
    for name, words in _WORDS.items()
    for word in words
    if any(word in others for other, others in _WORDS.items() if other != name)
}


class NoRelationError(Exception):
    """No relation picks exactly these things."""


def relation_of(photo: Photo, things: list[Instance], text: str) -> tuple[int, bool]:
    """(index into RELATIONS, whether the text says so) for things of one class, as the mask decoder would pick them.

    text: question and answer; a relation that it spells out is preferred. Raises NoRelationError.
    """
    same = photo.of(things[0].label)
    if len(things) == len(same):
        return RELATIONS.index("all" if len(same) > 1 or same[0].crowd else "one"), True
    if len(things) > 1:
        raise NoRelationError
    picking = [name for name in RELATION_PHRASES if _picked(photo, same, name) is things[0]]
    if not picking:
        raise NoRelationError
    words = set(text.lower().replace(",", " ").replace(".", " ").replace("?", " ").split())
    said = [name for name in picking if words & (_WORDS[name] - _NEUTRAL)]
    return RELATIONS.index((said or picking)[0]), bool(said)


def _picked(photo: Photo, same: list[Instance], relation: str) -> Instance:
    """The thing that the mask decoder takes for a relation (`MaskDecoder.choose`), given perfect boxes."""

    def rank(thing: Instance) -> float:
        x1, y1, x2, y2 = thing.box
        x, y, size = (x1 + x2) / 2, (y1 + y2) / 2, math.sqrt(max(0.0, (x2 - x1) * (y2 - y1)))
        far = math.hypot(x - photo.width / 2, y - photo.height / 2)
        return {"left": -x, "right": x, "top": -y, "bottom": y, "largest": size, "smallest": -size, "middle": -far}[relation]

    return max(same, key=rank)
