import torch
import torch.nn.functional as F

from segue_training.model.vision import CenterNet, SameConv, Up


def test_it_has_the_base_detectors_parameters_and_shapes():
    model = CenterNet().eval()
    assert sum(p.numel() for p in model.parameters()) == 2_014_924
    with torch.no_grad():
        out = model(torch.rand(1, 3, 128, 64) * 255)
    shapes = {name: tuple(value.shape[1:]) for name, value in out.items()}
    assert shapes == {
        "b2": (24, 32, 16),
        "b5": (32, 16, 8),
        "c4": (88, 8, 4),
        "b14": (120, 4, 2),
        "heatmap": (80, 32, 16),
        "ltrb": (4, 32, 16),
    }


def test_strided_convolutions_pad_more_on_the_right_and_below():
    for kernel, before in ((3, 0), (5, 1)):
        conv = SameConv(1, 1, kernel, 2, bias=False)
        torch.nn.init.zeros_(conv.weight)
        conv.weight.data[0, 0, before, before] = 1.0  # the tap that meets input 2i at output i
        x = torch.arange(64.0).reshape(1, 1, 8, 8)
        torch.testing.assert_close(conv(x), x[:, :, ::2, ::2])


def test_up_puts_even_outputs_on_the_inputs_and_odd_ones_between():
    up = Up(1, 1)
    for branch, kernel in ((up.x, 3), (up.y, 5)):
        torch.nn.init.zeros_(branch.depthwise.weight)
        branch.depthwise.weight.data[0, 0, kernel // 2, kernel // 2] = 0.5
        torch.nn.init.ones_(branch.pointwise.weight)
        torch.nn.init.zeros_(branch.pointwise.bias)
    x = torch.tensor([[[[0.0, 2.0], [4.0, 8.0]]]])
    expected = torch.tensor([[0.0, 1, 2, 2], [2, 3.5, 5, 5], [4, 6, 8, 8], [4, 6, 8, 8]])
    torch.testing.assert_close(up(x)[0, 0], expected)
    assert F.interpolate(x, scale_factor=2, mode="bilinear")[0, 0, 0, 0] != up(x)[0, 0, 0, 1]
