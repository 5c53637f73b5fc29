import pytest
import torch

from segue_training.model.config import COLOURS
from segue_training.model.selection import apart, colour_shares, distinct, from_side

PAINTS = {
    "black": (20, 20, 22),
    "white": (240, 240, 238),
    "grey": (128, 130, 128),
    "red": (200, 30, 30),
    "orange": (240, 130, 20),
    "yellow": (250, 220, 50),
    "green": (40, 140, 60),
    "blue": (40, 90, 190),
    "purple": (120, 50, 150),
    "pink": (240, 140, 175),
    "brown": (105, 68, 42),
}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_painted_thing_has_its_colour(colour):
    """Half of the view is the thing; the green around it does not count."""
    rgb = torch.tensor((40.0, 140.0, 60.0)).reshape(1, 3, 1, 1).repeat(1, 1, 48, 48)
    rgb[:, :, :, :24] = torch.tensor(PAINTS[colour]).reshape(1, 3, 1, 1)
    logits = torch.full((1, 48, 48), -5.0)
    logits[:, :, :24] = 5.0
    shares = colour_shares(rgb, logits)[0]
    assert COLOURS[int(shares.argmax())] == colour and shares.max() > 0.8
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))


def test_an_empty_mask_has_no_colour():
    assert colour_shares(torch.zeros(1, 3, 48, 48), torch.full((1, 48, 48), -1.0)).abs().max() == 0


def test_two_candidates_on_one_thing_count_once():
    boxes = torch.tensor([[[0.0, 0, 100, 100], [5, 0, 100, 100], [200, 0, 300, 100]]])
    best, plausible = torch.tensor([[0.5, 0.9, 0.4]]), torch.tensor([[True, True, True]])
    assert distinct(boxes, best, plausible)[0].tolist() == [False, True, True]
    plausible[0, 1] = False
    assert distinct(boxes, best, plausible)[0].tolist() == [True, False, True]


def test_order_from_a_side_skips_what_does_not_count():
    position, counted = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), torch.tensor([[True, False, True, True]])
    assert [int(from_side(position, counted, nth).argmax()) for nth in (0, 1, 2, 5)] == [0, 2, 3, 3]


def test_distance_is_to_the_nearest_landmark():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [100, 0, 110, 10], [480, 0, 490, 10]]])
    landmarks = torch.tensor([[[500.0, 0, 512, 10], [108, 0, 130, 10]]])
    away = apart(boxes, landmarks)[0]
    assert away.argmin() == 1 and away[2] < away[0]
