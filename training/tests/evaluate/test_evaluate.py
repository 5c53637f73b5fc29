import numpy as np
import pytest

from segue_training.evaluate.figures import Figures
from segue_training.evaluate.question_set import EvaluationQuestion


def question(kind: str, names: list[str]) -> EvaluationQuestion:
    return EvaluationQuestion(0, "0.jpg", kind, "?", names)


def bar(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((1, 10), np.uint8)
    mask[:, start:stop] = 1
    return mask


def test_a_missing_mask_counts_as_empty_and_a_superfluous_one_not_at_all():
    figures = Figures()
    figures.add(question("explicit", ["cup"]), "It is the cup.", np.zeros((0, 1, 10), np.uint8), [bar(0, 4)])
    figures.add(question("explicit", ["cup"]), "It is the cup <SEG>.", np.stack([bar(0, 4), bar(5, 9)]), [bar(0, 4)])
    explicit = figures.summary()["explicit"]
    assert explicit["giou"] == pytest.approx(0.5, abs=1e-3)
    assert explicit["answered"] == 0.5 and explicit["named"] == 0.5


def test_a_name_counts_where_it_is_pointed_at():
    """Not in a refusal, and not inside another word."""
    none, one = np.zeros((0, 1, 10), np.uint8), bar(0, 4)[None]
    said = {
        "There is no cup in this image.": none,
        "It is the cupboard <SEG>.": one,
        "They are the cups <SEG>.": one,
        "A cup <SEG>.": one,
    }
    for kind, (text, masks) in zip("abcd", said.items(), strict=True):
        figures = Figures()
        figures.add(question(kind, ["cup"]), text, masks, [bar(0, 4)])
        assert figures.summary()[kind]["named"] == (kind in "cd"), text


def test_swapped_masks_are_noticed():
    figures, truth = Figures(), [bar(0, 4), bar(5, 9)]
    figures.add(question("several", ["cup", "fork"]), "", np.stack(truth), truth)
    figures.add(question("several", ["cup", "fork"]), "", np.stack(truth[::-1]), truth)
    assert figures.summary()["several"]["in_order"] == 0.5


def test_presence_is_judged_by_whether_there_is_a_mask():
    figures, none, one = Figures(), np.zeros((0, 1, 10), np.uint8), bar(0, 1)[None]
    for masks in (one, one, none, one):
        figures.add(question("present", ["cup"]), "", masks, [bar(0, 1)])
    for masks in (none, one):
        figures.add(question("absent", ["dog"]), "", masks, [])
    summary = figures.summary()
    assert summary["presence"]["balanced_accuracy"] == pytest.approx((0.75 + 0.5) / 2)
    assert summary["absent"]["accuracy"] == 0.5


def test_wrong_names_and_refusals_are_counted_by_what_was_meant():
    figures, none, one = Figures(), np.zeros((0, 1, 10), np.uint8), bar(0, 4)[None]
    said = [
        ("reasoning", "It is the dog <SEG>.", one),
        ("present", "It is the dog <SEG> and the tennis racket <SEG>.", one),
        ("reasoning", "There is no cat in this image. I see a dog.", none),
        ("present", "It is the cat <SEG>.", one),
        ("reasoning_held_out", "I see the tennis racket <SEG>.", one),
        ("explicit", "It is the dog <SEG>.", one),  # asked again as a present one
    ]
    for kind, text, masks in said:
        figures.add(question(kind, ["cat"]), text, masks, [bar(0, 4)])
    assert figures.confusions() == [("cat", "dog", 2, 5), ("cat", "nothing", 1, 5), ("cat", "tennis racket", 1, 5)]
    assert figures.confusions(most=1) == [("cat", "dog", 2, 5)]
