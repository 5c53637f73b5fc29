from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle

from reasonseg.caption_phrases import phrases
from reasonseg.expressions import expressions
from segue_training.data.photos import Instance, Photo
from segue_training.model.config import COCO_NAMES


def thing(number: int, name: str, x: int, y: int, width: int, height: int, crowd: bool = False) -> Instance:
    """A rectangle in a photo of 100 x 100."""
    painted = np.zeros((100, 100), np.uint8, order="F")
    painted[y : y + height, x : x + width] = 1
    box = (float(x), float(y), float(x + width), float(y + height))
    return Instance(number, COCO_NAMES.index(name), rle.encode(painted), width * height / 10_000, box, crowd)


def named(*things: Instance, captions: tuple[str, ...] = ()) -> list[tuple[str, str, int]]:
    photo = Photo(1, Path("a.jpg"), 100, 100, list(captions), list(things))
    return [(expression.kind, expression.text, expression.target.id) for expression in expressions(photo)]


def test_the_only_one_of_a_class_goes_by_its_name():
    assert named(thing(1, "cup", 0, 0, 20, 20), thing(2, "dog", 30, 0, 20, 20)) == [
        ("class", "the dog", 2),
        ("class", "the cup", 1),
    ]


def test_tiny_things_and_crowds_are_not_asked_for():
    assert named(thing(1, "cup", 0, 0, 7, 7), thing(2, "dog", 0, 0, 90, 50, crowd=True)) == []


def test_of_several_those_clearly_outermost_or_of_another_size_are_named():
    # Centres at x = 10, 15, 80 and y = 10, 50, 15; areas 400, 400, 900.
    found = named(thing(1, "cup", 0, 0, 20, 20), thing(2, "cup", 5, 40, 20, 20), thing(3, "cup", 65, 0, 30, 30))
    assert found == [("place", "the right cup", 3), ("place", "the bottom cup", 2), ("place", "the largest cup", 3)]


def test_things_too_small_to_ask_for_still_count_as_others():
    # The small one is the left one, so nothing may be called that.
    found = [text for _, text, _ in named(thing(1, "cup", 0, 0, 5, 5), thing(2, "cup", 60, 0, 30, 30))]
    assert found == ["the right cup", "the bottom cup", "the largest cup"]


def test_captions_name_what_is_there_once():
    captions = ("A small brown dog on a sofa.", "The dog sleeps.", "Two cups and a cup.")
    one_dog = [thing(1, "dog", 0, 0, 20, 20), thing(2, "cup", 40, 0, 20, 20), thing(3, "cup", 42, 1, 20, 20)]
    assert named(*one_dog, captions=captions) == [("class", "the dog", 1), ("caption", "a small brown dog", 1)]
    assert named(*one_dog, thing(4, "dog", 1, 1, 20, 20), captions=captions) == []


@pytest.mark.parametrize(
    ("caption", "name", "expected"),
    [
        ("A young boy riding a horse.", "person", ["a young boy"]),
        ("A young boy riding a horse.", "horse", ["a horse"]),
        ("A MAN and his Dog, sitting", "dog", ["his dog"]),
        ("a big teddy bear on a bed", "teddy bear", ["a big teddy bear"]),
        ("a big teddy bear on a bed", "bear", []),
        ("a hot dog on a bun", "dog", []),
        ("A dog house in a garden", "dog", []),  # the head is another noun
        ("A dog's house", "dog", []),
        ("A bowl next to dog", "dog", []),  # no determiner of its own
        ("a man with dog", "dog", []),
        ("a very very very very big dog", "dog", []),  # too far from its determiner
        ("two dogs on the grass", "dog", []),
        ("the cat is near the cat", "cat", ["the cat"]),  # each phrase once
    ],
)
def test_phrases_end_in_a_word_for_the_class_and_hold_nothing_else(caption, name, expected):
    assert phrases([caption], COCO_NAMES.index(name)) == expected
