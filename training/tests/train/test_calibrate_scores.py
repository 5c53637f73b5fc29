import pytest
import torch

from segue_training.train.calibrate_scores import brier, calibrate_scores, cross_fitted, fit, reliability


def made(count: int = 4000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Signals whose logit of being right is known: 0.5 + 1.5 a - 0.8 b."""
    generator = torch.Generator().manual_seed(0)
    signals = torch.cat([torch.ones(count, 1), torch.randn(count, 2, generator=generator)], 1)
    chance = (signals @ torch.tensor([0.5, 1.5, -0.8])).sigmoid()
    right = (torch.rand(count, generator=generator) < chance).float()
    return signals, right, torch.arange(count) % 40


def test_known_weights_are_found():
    signals, right, _ = made()
    torch.testing.assert_close(fit(signals, right), torch.tensor([0.5, 1.5, -0.8]), atol=0.15, rtol=0)


def test_scores_of_the_right_weights_are_reliable_and_others_are_not():
    signals, right, photos = made()
    scores = cross_fitted(signals, right, photos)
    assert reliability(scores, right)["calibration_error"] < 0.03
    assert reliability((signals[:, 1] * 5).sigmoid(), right)["calibration_error"] > 0.1
    assert brier(scores, right) < brier(torch.full_like(right, 0.5), right)


def test_a_photo_has_no_part_in_its_own_scores():
    """Outcomes of one half are turned round: the scores of the other half turn, its own stay."""
    signals, right, photos = made(400)
    scores = cross_fitted(signals, right, photos)
    turned = cross_fitted(signals, torch.where(photos % 2 == 0, 1 - right, right), photos)
    torch.testing.assert_close(turned[photos % 2 == 0], scores[photos % 2 == 0])
    assert (turned[photos % 2 == 1] - scores[photos % 2 == 1]).abs().mean() > 0.1


def test_the_table_counts_by_hand():
    facts = reliability(torch.tensor([0.1, 0.1, 0.9, 0.9]), torch.tensor([0.0, 0.0, 1.0, 0.0]))
    assert facts["table"] == [(0.0, 0.2, 2, 0.1, 0.0), (0.8, 1.0, 2, 0.9, 0.5)]
    assert facts["calibration_error"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.4)
    assert facts["brier"] == pytest.approx((0.01 + 0.01 + 0.01 + 0.81) / 4)


def test_answers_without_masks_calibrate_nothing():
    answers = [{"kind": "absent", "photo": 1, "iou": [], "signals": [], "logprobs": []}]
    assert calibrate_scores(torch.nn.Module(), answers) is None
