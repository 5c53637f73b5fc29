import torch

from segue_training.bundle.outliers import find_outliers
from segue_training.tiny import tiny_parts


def test_the_largest_channels_are_found_and_no_hook_stays():
    model = tiny_parts(seed=3).language
    model.layers[1].ffn_norm.weight[[5, 20]] = 50.0
    found = find_outliers(model, [model.embed(torch.arange(30)[None])], count=2)
    assert set(found) == {f"{layer}.{name}" for layer in (0, 1) for name in ("qkv", "out", "gate_up", "down")}
    assert found["1.gate_up"].tolist() == [5, 20]
    assert not any(module._forward_pre_hooks for module in model.modules())
