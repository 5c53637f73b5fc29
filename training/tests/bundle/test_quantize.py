import numpy as np
import pytest

from segue_training.bundle.quantize import BLOCK, pack_nibbles, to_blocks, to_int8


@pytest.fixture
def weight():
    return np.random.default_rng(0).standard_normal((4 * BLOCK, 24)).astype(np.float32)


def test_blocks_stay_within_half_a_level_and_an_8_bit_step(weight):
    blocks = to_blocks(weight)
    error = np.abs(blocks.expand() * blocks.channel - weight).reshape(4, BLOCK, 24).max(1)
    spread = np.ptp(weight.reshape(4, BLOCK, 24), axis=1)
    assert (error <= spread / 15 / 2 + 1.5 * blocks.channel).all()


def test_weights_that_were_4_bit_blocks_keep_their_levels():
    rng = np.random.default_rng(1)
    levels = rng.integers(0, 16, (BLOCK, 8))
    levels[:2] = [[0] * 8, [15] * 8]
    step, low = rng.uniform(0.01, 0.1, 8), rng.uniform(-1, 0, 8)
    assert (to_blocks((levels * step + low).astype(np.float32)).levels == levels).all()


def test_a_constant_block_is_kept(weight):
    weight[:BLOCK, 3] = 0.5
    blocks = to_blocks(weight)
    assert np.allclose(blocks.expand()[:BLOCK, 3] * blocks.channel[3], 0.5, atol=blocks.channel[3])


def test_inputs_must_fill_blocks():
    with pytest.raises(ValueError, match="multiples"):
        to_blocks(np.zeros((BLOCK + 1, 4), np.float32))


def test_int8_uses_its_range():
    assert to_int8(np.array([-2.0, 0.0, 1.0, 3.0]), 2 / 127).tolist() == [-127, 0, 64, 127]


def test_nibbles_start_with_the_low_half():
    assert pack_nibbles(np.array([[1, 2], [15, 0]], np.uint8)) == bytes([0x21, 0x0F])
