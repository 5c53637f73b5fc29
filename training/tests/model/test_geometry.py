import torch
import torch.nn.functional as F

from segue_training.model.geometry import FRAME, box_iou, cell_boxes, paste, resize_bilinear, sample, view_grid, view_of


def test_a_view_is_the_box_widened_by_half():
    origin, extent = view_of(torch.tensor([100.0, 200.0, 300.0, 240.0]))
    assert extent.tolist() == [300.0, 60.0]
    assert origin.tolist() == [50.0, 190.0]


def test_sampling_at_cell_centres_returns_the_cells():
    maps = torch.randn(1, 3, 64, 64)
    box = torch.tensor([[[FRAME / 6, FRAME / 6, FRAME * 5 / 6, FRAME * 5 / 6]]])  # its view is the frame
    grid = view_grid(box, 64)
    torch.testing.assert_close(sample(maps, grid)[0, 0], maps[0], atol=1e-3, rtol=0)


def test_pasting_puts_a_view_where_it_was_taken():
    box = torch.tensor([[100.0, 140.0, 228.0, 268.0]])
    disc = ((torch.arange(FRAME) - 164.0)[None] ** 2 + (torch.arange(FRAME) - 204.0)[:, None] ** 2 < 60**2).float()
    view = sample(disc[None, None], view_grid(box, 48)[:, None])[:, 0, 0]
    pasted = paste((view - 0.5) * 20, box)[0] > 0
    overlap = (pasted & (disc > 0)).sum() / (pasted | (disc > 0)).sum()
    assert overlap > 0.97
    assert not pasted[:100].any()


def test_outside_of_a_view_is_surely_not_the_thing():
    pasted = paste(torch.full((1, 48, 48), 5.0), torch.tensor([[200.0, 200.0, 260.0, 260.0]]))
    assert pasted[0, 0, 0] == -12.0
    assert pasted[0, 230, 230] == 5.0


def test_resizing_equals_cropping_and_interpolating():
    maps = torch.randn(2, 512, 512)
    for size in ((480, 640), (1200, 900), (37, 53)):
        source = torch.tensor([384, 512])
        expected = F.interpolate(maps[:, None, :384, :512], size, mode="bilinear", align_corners=False)[:, 0]
        torch.testing.assert_close(resize_bilinear(maps, *size, source), expected, atol=1e-4, rtol=0)


def test_detector_boxes_are_measured_from_the_cell_corner_and_clamped():
    ltrb = torch.zeros(1, 4, 128, 128)
    ltrb[0, :, 10, 20] = torch.tensor([8.0, 4.0, 12.0, 600.0])
    assert cell_boxes(ltrb)[0, :, 10, 20].tolist() == [72.0, 36.0, 92.0, 512.0]


def test_box_iou_by_hand():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    torch.testing.assert_close(box_iou(a, torch.tensor([1.0, 0.0, 3.0, 2.0])), torch.tensor([1 / 3]))
    assert box_iou(a, torch.tensor([5.0, 5.0, 6.0, 6.0])).item() == 0
