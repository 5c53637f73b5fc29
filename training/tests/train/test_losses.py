import math

import pytest
import torch

from segue_training.train.losses import alignment_loss, answer_loss, mask_bce, mask_dice, moments, view_iou


def test_mask_losses_by_hand():
    target = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert mask_bce(torch.zeros(1, 2, 2), target).item() == pytest.approx(math.log(2))
    sure = (target * 2 - 1) * 50
    assert mask_bce(sure, target).item() == pytest.approx(0, abs=1e-6)
    assert mask_dice(sure, target).item() == pytest.approx(0, abs=1e-6)
    assert mask_dice(-sure, target).item() == pytest.approx(1 - 1 / 5, abs=1e-6)  # (0 + 1) / (3 + 1 + 1)


def test_answer_loss_weighs_tokens():
    logits = torch.tensor([[5.0, 0.0], [5.0, 0.0]])
    labels = torch.tensor([0, 1])
    even = answer_loss(logits, labels, torch.tensor([1.0, 1.0]))
    assert answer_loss(logits, labels, torch.tensor([1.0, 3.0])) > even > answer_loss(logits, labels, torch.tensor([3.0, 1.0]))


def test_alignment_is_zero_on_target_and_grows_away():
    target = torch.randn(4, 256)
    assert alignment_loss(target, target).max().item() == pytest.approx(0, abs=1e-5)
    assert (alignment_loss(-target, target) > 2).all()


def test_view_iou_counts_what_the_view_misses():
    logits = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]])
    target = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert view_iou(logits, target, torch.tensor([0.0])).item() == pytest.approx(0.5)
    assert view_iou(logits, target, torch.tensor([2.0])).item() == pytest.approx(0.25)


def test_moments_of_a_dead_channel_stay_usable():
    _, std = moments(torch.zeros(2, 3, 4, 4))
    assert std.min().item() == pytest.approx(1e-3)
