import numpy as np
import pytest

from segue_training.metrics import MaskScore, balanced_accuracy, intersection_and_union


def mask(*rows: str) -> np.ndarray:
    """'#' is the thing, '?' is ignored."""
    return np.array([[{"#": 1, "?": 255, ".": 0}[c] for c in row] for row in rows], np.uint8)


def test_iou_by_hand():
    assert intersection_and_union(mask("##..", "##.."), mask(".##.", ".##.")) == (2, 6)


def test_ignored_pixels_count_on_neither_side():
    assert intersection_and_union(mask("####"), mask("##??")) == (2, 2)
    assert intersection_and_union(mask("..##"), mask("##??")) == (0, 2)


def test_giou_is_a_mean_and_ciou_is_pooled():
    score = MaskScore()
    assert score.add(mask("#..."), mask("#...")) == pytest.approx(1.0, abs=1e-4)
    assert score.add(mask("########"), mask("##......")) == pytest.approx(0.25, abs=1e-4)
    assert score.giou == pytest.approx(0.625, abs=1e-4)
    assert score.ciou == pytest.approx(3 / 9)


def test_an_empty_truth_found_empty_is_right_and_a_mask_there_is_wrong():
    score = MaskScore()
    assert score.add(mask("...."), mask("....")) == 1.0
    assert score.add(mask("#..."), mask("....")) == 0.0
    assert score.giou == 0.5
    assert score.ciou == pytest.approx(0.0)


def test_masks_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="sizes differ"):
        intersection_and_union(mask("##"), mask("###"))


def test_balanced_accuracy_weighs_both_sides_alike():
    assert balanced_accuracy([True, True, True, False], [False, True]) == pytest.approx(0.625)
