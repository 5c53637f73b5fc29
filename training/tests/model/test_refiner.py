import torch

from segue_training.model.geometry import view_grid
from segue_training.model.refiner import CROP, SIDE, Refiner
from segue_training.model.vision import CenterNet


def refiner() -> Refiner:
    torch.manual_seed(0)
    return Refiner(256).eval().requires_grad_(False)


def test_untrained_it_returns_the_first_mask():
    """The second look starts as the identity: only the resampling to its own grid is left."""
    first = torch.linspace(-4, 4, 48).expand(2, 48, 48).contiguous()
    boxes = torch.tensor([[50.0, 60, 200, 300], [10, 10, 60, 40]])
    logits = refiner()(torch.rand(1, 3, 512, 512) * 255, boxes, first, torch.randn(2, 256))
    expected = torch.nn.functional.interpolate(first[:, None], size=(SIDE, SIDE), mode="bilinear")[:, 0]
    torch.testing.assert_close(logits, expected)


def test_it_looks_at_the_crop_and_at_the_prompt():
    network = refiner()
    torch.nn.init.normal_(network.out[-1].weight, std=0.5)
    torch.nn.init.normal_(network.film.weight, std=0.05)
    first, crops, prompt = torch.zeros(1, 48, 48), torch.rand(1, 3, CROP, CROP) * 255, torch.randn(1, 256)
    plain = network.redraw(crops, first, prompt)
    assert (network.redraw(crops.flip(-1), first, prompt) - plain).abs().max() > 1e-3
    assert (network.redraw(crops, first, -prompt) - plain).abs().max() > 1e-3


def test_crops_are_cut_where_the_views_are():
    """A crop of a picture whose red is x and green is y must hold the positions of its view."""
    position = torch.arange(512.0) + 0.5
    rgb = torch.stack([position.expand(512, 512), position[:, None].expand(512, 512), torch.zeros(512, 512)])[None]
    seen = []
    network = refiner()
    network.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    boxes = torch.tensor([[200.0, 100, 300, 260]])
    network(rgb, boxes, torch.zeros(1, 48, 48), torch.randn(1, 256))
    torch.testing.assert_close(seen[0][0, :2].permute(1, 2, 0), view_grid(boxes, CROP)[0], atol=1e-2, rtol=0)


def test_the_trunk_starts_as_the_encoders_first_blocks():
    encoder = CenterNet().eval().requires_grad_(False)
    network = refiner()
    network.start_from(encoder)
    pixels = torch.rand(1, 3, 64, 64) * 255
    ours, theirs = network.trunk(pixels), encoder(pixels)
    for name in ("b2", "b5", "c4"):
        torch.testing.assert_close(ours[name], theirs[name])
