import torch

from segue_training.model.layers import LongLayerNorm, largest_channel


def test_long_layer_norm_is_layer_norm():
    torch.manual_seed(0)
    long, usual = LongLayerNorm(48), torch.nn.LayerNorm(48)
    with torch.no_grad():
        long.weight.uniform_(-1, 1)
        long.bias.uniform_(-1, 1)
    usual.load_state_dict(long.state_dict())
    x = torch.randn(3, 100, 48) * 5 + 2
    torch.testing.assert_close(long(x), usual(x), atol=1e-5, rtol=1e-5)


def test_largest_channel_of_any_number_of_channels():
    for channels in (1, 2, 5, 80):
        x = torch.randn(2, channels, 3, 4)
        assert (largest_channel(x) == x.amax(1, keepdim=True)).all()
