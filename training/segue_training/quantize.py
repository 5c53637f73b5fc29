"""Weight quantisation: 4-bit blocks for storage, 8-bit rows for arithmetic.

Weights are stored as 4-bit blocks with a scale and a minimum (the layout of GGUF's Q4_1, so a base that comes from such
a file keeps its exact values). When a session loads, the graph expands them to 8 bits with one scale per output channel,
because integer matrix products are three times as fast as 4-bit ones for a prefill on a CPU.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 32
"""Neighbouring inputs of one output channel that share a scale and a minimum."""


class Blocks(NamedTuple):
    """w[32 b + i, n] = levels[b, i, n] * scale[b, 0, n] + low[b, 0, n]"""

    levels: np.ndarray  # uint8[inputs / 32, 32, outputs], 0..15
    scale: np.ndarray  # float16[inputs / 32, 1, outputs]
    low: np.ndarray  # float16[inputs / 32, 1, outputs]

    def expand(self) -> np.ndarray:
        """float32[inputs, outputs]"""
        values = self.levels * self.scale.astype(np.float32) + self.low.astype(np.float32)
        return values.reshape(-1, values.shape[-1])


def to_blocks(weight: np.ndarray) -> Blocks:
    """float32[inputs, outputs] -> 4-bit blocks; exact for weights that were 4-bit blocks before."""
    inputs, outputs = weight.shape
    if inputs % BLOCK:
        raise ValueError(f"{inputs} inputs do not divide into blocks of {BLOCK}: choose sizes that are multiples of it")
    blocks = weight.reshape(-1, BLOCK, outputs)
    low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
    scale = ((high - low) / 15).astype(np.float16)
    step = np.where(scale == 0, 1, scale).astype(np.float32)
    levels = np.clip(np.rint((blocks - low.astype(np.float16)) / step), 0, 15).astype(np.uint8)
    return Blocks(levels, scale, low.astype(np.float16))


def channel_scale(weight: np.ndarray, axis: int) -> np.ndarray:
    """Scale of each channel so that the largest weight becomes 127; `axis` is the one summed over."""
    return np.maximum(np.abs(weight).max(axis), 1e-8).astype(np.float32) / np.float32(127)


def to_int8(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float32 weights divided by a broadcastable scale -> int8"""
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)


def pack_nibbles(levels: np.ndarray) -> bytes:
    """Values 0..15 -> bytes, the first of each pair in the low half (ONNX's UINT4 layout)."""
    flat = levels.reshape(-1)
    return (flat[0::2] | (flat[1::2] << 4)).tobytes()
