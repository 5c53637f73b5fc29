"""Referring expressions made from COCO's annotations and captions: each names exactly one annotated thing.

Our own set, no part of refCOCO. Three kinds: `class` ("the umbrella": the only one of its class), `place` ("the left
dog", "the largest cup": told apart from others of its class by its box or its size), `caption` (a noun phrase of a
caption, "a young boy", whose class has one annotated thing). Nothing is random, so a data set always gives the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segue_training.data.photos import Instance, Photo
from segue_training.model.config import COCO_NAMES

from .caption_phrases import phrases

KINDS = ("class", "place", "caption")
_SMALLEST = 0.005
"""Share of the photo; smaller things are not asked for, but count as others of their class."""
_CLEARLY = 0.1
"""How far the outermost thing's centre must be from the next one's, as a share of the photo's side."""
_MUCH_LARGER = 1.5


@dataclass(frozen=True)
class Expression:
    kind: str
    text: str
    target: Instance


def expressions(photo: Photo) -> list[Expression]:
    """All expressions for a photo whose labels are COCO's classes."""
    found: list[Expression] = []
    for label in photo.labels:
        same, name = photo.of(label), COCO_NAMES[label]
        if any(thing.crowd for thing in same):
            continue
        if len(same) == 1:
            if same[0].area >= _SMALLEST:
                found.append(Expression("class", f"the {name}", same[0]))
                found += [Expression("caption", text, same[0]) for text in phrases(photo.captions, label)]
        else:
            found += [Expression("place", f"the {word} {name}", thing) for word, thing in _told_apart(photo, same)]
    order = {kind: index for index, kind in enumerate(KINDS)}
    return sorted(found, key=lambda expression: order[expression.kind])


def _told_apart(photo: Photo, things: list[Instance]) -> Iterator[tuple[str, Instance]]:
    """Things that lie clearly outermost or are clearly largest or smallest among at least two of a class."""
    for first, last, axis, side in (("left", "right", 0, photo.width), ("top", "bottom", 1, photo.height)):
        centres = sorted(((thing.box[axis] + thing.box[axis + 2]) / 2 / side, thing.id) for thing in things)
        by_id = {thing.id: thing for thing in things}
        if centres[1][0] - centres[0][0] > _CLEARLY:
            yield from _if_large(first, by_id[centres[0][1]])
        if centres[-1][0] - centres[-2][0] > _CLEARLY:
            yield from _if_large(last, by_id[centres[-1][1]])
    by_area = sorted(things, key=lambda thing: (thing.area, thing.id))
    if by_area[-1].area > _MUCH_LARGER * by_area[-2].area:
        yield from _if_large("largest", by_area[-1])
    if by_area[1].area > _MUCH_LARGER * by_area[0].area:
        yield from _if_large("smallest", by_area[0])


def _if_large(word: str, thing: Instance) -> Iterator[tuple[str, Instance]]:
    if thing.area >= _SMALLEST:
        yield word, thing
