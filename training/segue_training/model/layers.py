"""Layers that the mask decoder and the refiner share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class LongLayerNorm(nn.LayerNorm):
    """Layer normalisation of the last dimension, written as products and sums.

    ONNX Runtime's own adds up one value after another on a CPU, which takes three times as long for many rows.
    """

    def forward(self, x: Tensor) -> Tensor:
        averaging = x.new_full((x.shape[-1], 1), 1 / x.shape[-1])
        centred = x - x @ averaging
        return centred / (centred.square() @ averaging + self.eps).sqrt() * self.weight + self.bias


def largest_channel(x: Tensor) -> Tensor:
    """Largest value over the channels of [n, c, h, w]: [n, 1, h, w]

    By halves, which ONNX Runtime does several times as fast as reducing a dimension that is not the last.
    """
    while x.shape[1] % 2 == 0:
        x = torch.maximum(*x.chunk(2, 1))
    return x.amax(1, keepdim=True)
