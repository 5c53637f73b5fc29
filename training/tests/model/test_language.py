import math

import pytest
import torch

from segue_training.model.language import LanguageModel, causal_bias, half_rotation
from segue_training.tiny import tiny_parts

LENGTH = 12


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return tiny_parts(seed=1).language.requires_grad_(False)


@pytest.fixture(scope="module")
def embeds(model):
    return model.embed(torch.arange(40, 40 + LENGTH)[None])


def test_the_cache_gives_the_same_states(model, embeds):
    whole, _ = model(embeds)
    first, kv = model(embeds[:, :7])
    second, new = model(embeds[:, 7:], past_kv=kv)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    assert new[0][0].shape == (1, model.config.kv_heads, LENGTH - 7, model.config.head_dim)


def test_a_block_diagonal_bias_separates_conversations(model, embeds):
    """Two questions behind one picture in one row: each sees the picture and itself, positions start behind the picture."""
    picture, one, two = embeds[:, :4], embeds[:, 4:9], embeds[:, 9:]
    bias = causal_bias(LENGTH, 0, embeds.device).clone()
    bias[..., 9:, 4:9] = -math.inf
    positions = torch.tensor([[*range(9), *range(4, 4 + LENGTH - 9)]])
    packed, _ = model(embeds, positions, bias)
    alone, _ = model(torch.cat((picture, two), dim=1))
    torch.testing.assert_close(packed[:, 9:], alone[:, 4:])
    first, _ = model(torch.cat((picture, one), dim=1))
    torch.testing.assert_close(packed[:, :9], first)


def test_new_tokens_have_their_own_rows(model):
    size = model.config.vocab_size
    rows = model.embed(torch.tensor([3, size, size + 1]))
    torch.testing.assert_close(rows, torch.stack((model.embedding[3], *model.new_embedding)))
    assert model.logits(rows).shape == (3, size + 2)


def test_only_updates_are_trained_and_saved(model):
    names = set(model.state_dict())
    assert all("lora" in name or name.startswith("new_") for name in names)
    assert names == {name for name, _ in model.named_parameters()}


def test_lora_starts_as_nothing():
    linear = LanguageModel(tiny_parts(seed=1).language.config).layers[0].qkv
    linear.weight.normal_()
    x = torch.randn(3, linear.weight.shape[1])
    torch.testing.assert_close(linear(x), x @ linear.weight.T)


def test_half_rotation_puts_pairs_half_a_head_apart():
    heads, size = 2, 6
    rows = torch.arange(heads * size, dtype=torch.float32)[:, None]
    assert half_rotation(rows, heads)[:, 0].tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
