"""Weight quantisation: 4-bit blocks for storage, 8-bit channels for arithmetic.

Integer matrix products of 8 bits are three times as fast as 4-bit ones for a prefill on a CPU, but twice as large. So a
weight is stored with 4 bits and a graph expands it to 8 bits when a session loads: each block of 32 neighbouring inputs
has a step and a start on the channel's 8-bit grid. A base that was published in 4-bit blocks of 32 (GGUF's Q4_1) keeps its
values up to the rounding to that grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 32
"""Neighbouring inputs of one output channel that share a step and a start."""
_LARGEST = 60_000.0  # inverse of a step, representable in float16


class Blocks(NamedTuple):
    """weight[i, n] is about channel[n] * int8(round(levels[i, n] / inverse[b, n]) + start[b, n]), b = i // 32"""

    levels: np.ndarray  # uint8[inputs, outputs], 0..15
    inverse: np.ndarray  # float16[inputs / 32, outputs], 1 / (8-bit steps between two levels)
    start: np.ndarray  # int8[inputs / 32, outputs]
    channel: np.ndarray  # float32[outputs]

    def expand(self) -> np.ndarray:
        """int8[inputs, outputs], as a graph computes it"""
        inverse, start = (part.astype(np.float32).repeat(BLOCK, axis=0) for part in (self.inverse, self.start))
        return np.clip(np.rint(self.levels / inverse) + start, -128, 127).astype(np.int8)


def to_blocks(weight: np.ndarray) -> Blocks:
    """float32[inputs, outputs] -> 4-bit blocks"""
    inputs, outputs = weight.shape
    if inputs % BLOCK:
        raise ValueError(f"{inputs} inputs do not divide into blocks of {BLOCK}: choose sizes that are multiples of it")
    channel = channel_scale(weight, axis=0)
    blocks = weight.reshape(-1, BLOCK, outputs)
    low, high = blocks.min(1), blocks.max(1)
    step = (high - low) / 15
    levels = np.rint((blocks - low[:, None]) / np.where(step == 0, 1, step)[:, None])
    inverse = np.minimum(channel / np.maximum(step, 1e-12), _LARGEST).astype(np.float16)
    start = np.rint(low / channel).astype(np.int8)
    return Blocks(levels.reshape(inputs, outputs).astype(np.uint8), inverse, start, channel)


class MatMulBlocks(NamedTuple):
    """What ONNX Runtime's MatMulNBits reads: weight[i, n] is about scale[n, b] * (level - zero[n, b]), b = i // 32"""

    packed: np.ndarray  # uint8[outputs, inputs / 32, 16], the first of two neighbouring inputs in the low half
    scale: np.ndarray  # float32[outputs, inputs / 32]
    zero: np.ndarray  # uint8[outputs, ceil(inputs / 64)], two blocks in a byte


def to_matmul_blocks(weight: np.ndarray, rows: int = 2048) -> MatMulBlocks:
    """float32[inputs, outputs] -> 4-bit blocks, each with its own range; `rows`: outputs done at once, for memory's sake"""
    inputs, outputs = weight.shape
    if inputs % BLOCK:
        raise ValueError(f"{inputs} inputs do not divide into blocks of {BLOCK}: choose sizes that are multiples of it")
    parts = [_matmul_blocks(weight[:, start : start + rows]) for start in range(0, outputs, rows)]
    return MatMulBlocks(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _matmul_blocks(weight: np.ndarray) -> MatMulBlocks:
    blocks = np.ascontiguousarray(weight.T).reshape(weight.shape[1], -1, BLOCK)
    # A range that holds 0 has a level for it, which keeps the zero point within 0..15.
    low, high = np.minimum(blocks.min(2), 0), np.maximum(blocks.max(2), 0)
    scale = np.maximum((high - low) / 15, 1e-12).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, 15).astype(np.uint8)
    levels = np.clip(np.rint(blocks / scale[..., None]) + zero[..., None], 0, 15).astype(np.uint8)
    even = np.pad(zero, ((0, 0), (0, zero.shape[1] % 2)))
    pairs = [levels[..., 0::2] | (levels[..., 1::2] << 4), even[:, 0::2] | (even[:, 1::2] << 4)]
    return MatMulBlocks(pairs[0], scale, pairs[1])


def to_float16(weight: np.ndarray, name: str) -> np.ndarray:
    """Raises ValueError when a value is too large for 16 bits, as bfloat16 ones may be."""
    largest = np.abs(weight).max(initial=0)
    if not largest <= np.finfo(np.float16).max:
        raise ValueError(f"{name} holds {largest}, which float16 cannot: export it with another precision")
    return weight.astype(np.float16)


def channel_scale(weight: np.ndarray, axis: int) -> np.ndarray:
    """Scale of each channel so that its largest weight becomes 127; `axis` is the one summed over."""
    return np.maximum(np.abs(weight).max(axis), 1e-8).astype(np.float32) / np.float32(127)


def to_int8(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float32 weights divided by a broadcastable scale -> int8"""
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)


def pack_nibbles(levels: np.ndarray) -> bytes:
    """Values 0..15 -> bytes, the first of each pair in the low half (ONNX's UINT4 layout)."""
    flat = levels.reshape(-1)
    return (flat[0::2] | (flat[1::2] << 4)).tobytes()
