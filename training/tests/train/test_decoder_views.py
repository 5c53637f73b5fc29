import random

import numpy as np
import pytest
import torch

from segue_training.data.augment import Frame
from segue_training.train.decoder_views import (
    NOTHING,
    blur_evidence,
    classes_to_ask,
    peaks_in_view,
    targets,
    things_in_view,
)


@pytest.fixture
def frame() -> Frame:
    """A cup (41) of 100 x 100 pixels and two cats (15); a dog (16) may be in a crowd."""
    masks = np.zeros((3, 512, 512), np.uint8)
    masks[0, 100:200, 100:200] = 1
    masks[1, 300:400, 50:150] = 1
    masks[2, 300:400, 350:500] = 1
    return Frame(np.zeros((512, 512, 3), np.uint8), masks, [41, 15, 15], {16})


@pytest.fixture
def feature() -> dict[str, torch.Tensor]:
    heatmap = torch.full((1, 80, 128, 128), -6.0)
    heatmap[0, 41, 37, 37] = heatmap[0, 16, 5, 5] = heatmap[0, 60, 9, 9] = 2.0
    return {"heatmap": heatmap, "ltrb": torch.full((1, 4, 128, 128), 50.0)}


def test_peaks_get_the_thing_they_overlap(frame):
    boxes = torch.tensor([[50.0, 300, 150, 400], [350, 310, 500, 400], [300, 340, 400, 440], [100, 100, 200, 200]])
    views = peaks_in_view(frame, 15, boxes)
    assert views.thing.tolist() == [1, 2, 2, NOTHING]  # the last box lies on the cup, which is no cat
    assert views.draws.tolist() == [True, True, False, False]  # a poor box is a bad candidate, not a mask to learn


def test_an_absent_class_has_no_thing(frame):
    views = peaks_in_view(frame, 3, torch.tensor([[100.0, 100, 200, 200]]))
    assert views.thing.tolist() == [NOTHING] and not views.draws.any()


def test_what_may_be_there_is_never_asked_about(frame, feature):
    asked = [label for seed in range(200) for label in classes_to_ask(frame, feature, random.Random(seed))]
    assert 16 not in asked  # the detector believes in a dog, and a crowd may hold one
    assert {15, 41, 60} <= set(asked)


def test_views_are_of_things_and_targets_cover_them(frame, feature):
    views = things_in_view(frame, feature, 12, random.Random(0))
    assert len(views.label) == 12 and views.draws.all()
    for label, thing in zip(views.label.tolist(), views.thing.tolist(), strict=True):
        assert label in (NOTHING, frame.labels[thing])
    target, outside = targets(frame, peaks_in_view(frame, 41, torch.tensor([[100.0, 100, 200, 200], [150, 100, 250, 200]])), 48)
    # The view is 1.5 times the box: the cup covers (1 / 1.5) ** 2 of it, and from half beside it 3/4 of that.
    assert target.mean((1, 2)).tolist() == pytest.approx([1 / 2.25, 0.75 / 2.25], abs=0.02)
    assert outside.tolist() == pytest.approx([0, 0.25 * 48**2 / 2.25], abs=25)


def test_blurred_evidence_is_another_detectors(feature):
    torch.manual_seed(0)
    before = feature["heatmap"].clone()
    blurred = blur_evidence(feature, random.Random(0))["heatmap"]
    assert torch.equal(feature["heatmap"], before)
    difference = blurred - before
    assert difference.std() > 0.2
    assert abs(float(difference.mean())) < 0.2
