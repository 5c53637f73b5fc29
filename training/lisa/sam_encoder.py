"""Segment Anything's image encoder (Kirillov et al. 2023): a ViT with window attention and relative positions (ViTDet).

Modules have the names of Segment Anything's state dict. Every size is read from the checkpoint's shapes. Shapes in
comments: B pictures or windows, h w cells, C channels, n heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class SamEncoderConfig:
    """Sizes of an encoder; `windows` has one entry for each block, 0 where attention is global."""

    frame: int
    patch: int
    width: int
    heads: int
    mlp: int
    out: int
    windows: tuple[int, ...]

    @property
    def grid(self) -> int:
        """Cells on a side of the frame."""
        return self.frame // self.patch

    @staticmethod
    def from_shapes(shapes: Mapping[str, tuple[int, ...]]) -> SamEncoderConfig:
        """Shapes of an encoder's state dict -> its configuration.

        Raises ValueError for relative positions that fit no window of the grid.
        """
        width, _, patch, _ = shapes["patch_embed.proj.weight"]
        grid = shapes["pos_embed"][1]
        depth = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks."))
        tables = [shapes[f"blocks.{index}.attn.rel_pos_h"] for index in range(depth)]
        sides = [(rows + 1) // 2 for rows, _ in tables]
        if any(side > grid or rows % 2 == 0 for side, (rows, _) in zip(sides, tables, strict=True)):
            raise ValueError(f"Relative positions of sides {sides} do not fit a grid of {grid} cells")
        return SamEncoderConfig(
            frame=grid * patch,
            patch=patch,
            width=width,
            heads=width // tables[0][1],
            mlp=shapes["blocks.0.mlp.lin1.weight"][0],
            out=shapes["neck.0.weight"][0],
            windows=tuple(0 if side == grid else side for side in sides),
        )


class SamImageEncoder(nn.Module):
    """float32[1, 3, frame, frame] -> image_embeddings float32[1, out, grid, grid]"""

    def __init__(self, config: SamEncoderConfig):
        super().__init__()
        self.config = c = config
        self.patch_embed = PatchEmbed(c.width, c.patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, c.grid, c.grid, c.width))
        self.blocks = nn.ModuleList(Block(c, window) for window in c.windows)
        self.neck = nn.Sequential(
            nn.Conv2d(c.width, c.out, 1, bias=False),
            LayerNorm2d(c.out),
            nn.Conv2d(c.out, c.out, 3, padding=1, bias=False),
            LayerNorm2d(c.out),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed(pixels) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


class PatchEmbed(nn.Module):
    """float32[B, 3, frame, frame] -> float32[B, h, w, C]"""

    def __init__(self, width: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


class Block(nn.Module):
    """Attention within windows (or over everything) and an MLP, both pre-normalised."""

    def __init__(self, config: SamEncoderConfig, window: int):
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.heads, window or config.grid)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width, config.mlp)

    def forward(self, x: Tensor) -> Tensor:
        """float32[B, h, w, C] -> the same shape"""
        height, width = x.shape[1:3]
        y = self.norm1(x)
        if self.window:
            y = merge_windows(self.attn(split_windows(y, self.window)), self.window, height, width)
        else:
            y = self.attn(y)
        x = x + y
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Multi-head attention over a square of cells, with learnt relative positions along each axis."""

    def __init__(self, width: int, heads: int, side: int):
        super().__init__()
        self.heads, self.side = heads, side
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.rel_pos_h, self.rel_pos_w = (nn.Parameter(torch.zeros(2 * side - 1, width // heads)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """float32[B, side, side, C] -> the same shape"""
        windows, side, _, width = x.shape
        qkv = self.qkv(x).view(windows, side * side, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # [B, n, side * side, C / n]
        # The bias of a pair of cells is q * (its row's entry + its column's entry), with q before scaling.
        at = q.view(windows, self.heads, side, side, -1)
        rows = torch.einsum("bnhwc,hkc->bnhwk", at, self._relative(self.rel_pos_h))
        columns = torch.einsum("bnhwc,wkc->bnhwk", at, self._relative(self.rel_pos_w))
        bias = (rows[..., :, None] + columns[..., None, :]).reshape(windows, self.heads, side * side, side * side)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(mixed.transpose(1, 2).reshape(windows, side, side, width))

    def _relative(self, table: Tensor) -> Tensor:
        """float32[2 * side - 1, c] -> float32[query, key, c]: the entry of each distance"""
        cells = torch.arange(self.side)
        return table[cells[:, None] - cells[None, :] + self.side - 1]


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.gelu(self.lin1(x)))


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of float32[B, C, h, w]."""

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels)), eps

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).square().mean(1, keepdim=True) + self.eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def split_windows(x: Tensor, window: int) -> Tensor:
    """float32[B, h, w, C] -> float32[B * windows, window, window, C], filled with 0 at the right and the bottom"""
    pictures, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    x = x.view(pictures, rows, window, columns, window, channels).transpose(2, 3)
    return x.reshape(-1, window, window, channels)


def merge_windows(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """Undoes `split_windows`."""
    rows, columns = -(-height // window), -(-width // window)
    x = x.view(-1, rows, columns, window, window, x.shape[-1]).transpose(2, 3)
    return x.reshape(-1, rows * window, columns * window, x.shape[-1])[:, :height, :width]
