"""Segment Anything's prompt encoder and mask decoder, as LISA uses them: the prompt is one embedding of a text.

Modules have the names of Segment Anything's state dict; parts that only points, boxes and earlier masks need are left out.
Everything computes in float32: in 16 bits the decoder's logits overflow, and a mask of NaN looks like an empty one.
Shapes in comments: N prompts, T tokens, c channels, g cells on a side of the image embedding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sam_encoder import LayerNorm2d

HEADS = 8
"""Attention heads of the decoder; no shape in a checkpoint tells them."""


@dataclass(frozen=True)
class SamDecoderConfig:
    channels: int
    grid: int
    depth: int
    mlp: int
    mask_tokens: int
    iou_hidden: int
    down: int = 2
    """Cross-attention works at a fraction of the channels."""

    @staticmethod
    def from_shapes(shapes: Mapping[str, tuple[int, ...]], grid: int) -> SamDecoderConfig:
        """shapes: of a mask decoder's state dict; grid: the encoder's"""
        layers = [int(name.split(".")[2]) for name in shapes if name.startswith("transformer.layers.")]
        tokens, channels = shapes["mask_tokens.weight"]
        inner = shapes["transformer.final_attn_token_to_image.q_proj.weight"][0]
        return SamDecoderConfig(
            channels=channels,
            grid=grid,
            depth=1 + max(layers),
            mlp=shapes["transformer.layers.0.mlp.lin1.weight"][0],
            mask_tokens=tokens,
            iou_hidden=shapes["iou_prediction_head.layers.0.weight"][0],
            down=channels // inner,
        )


class PromptEncoder(nn.Module):
    """The constants that a text prompt needs; the prompt itself passes unchanged."""

    def __init__(self, channels: int, grid: int):
        super().__init__()
        self.grid = grid
        self.pe_layer = RandomPositions(channels // 2)
        self.no_mask_embed = nn.Embedding(1, channels)

    def image_positions(self) -> Tensor:
        """float32[1, c, g, g]: position of each cell's middle"""
        middles = (torch.arange(self.grid) + 0.5) / self.grid
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        return self.pe_layer(torch.stack((x, y), dim=-1)).permute(2, 0, 1)[None]


class RandomPositions(nn.Module):
    """Sines and cosines of random projections of a point."""

    positional_encoding_gaussian_matrix: Tensor
    """[2, half]"""

    def __init__(self, half: int):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, half))

    def forward(self, points: Tensor) -> Tensor:
        """float32[..., 2] (x, y in 0..1) -> float32[..., 2 * half]"""
        angles = 2 * math.pi * ((2 * points - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class MaskDecoder(nn.Module):
    """Tokens and image cells attend to each other; each mask token becomes a filter over the upscaled cells."""

    def __init__(self, config: SamDecoderConfig):
        super().__init__()
        c = config.channels
        self.iou_token, self.mask_tokens = nn.Embedding(1, c), nn.Embedding(config.mask_tokens, c)
        self.transformer = TwoWayTransformer(config)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(c, c // 4, 2, stride=2),
            LayerNorm2d(c // 4),
            nn.GELU(),
            nn.ConvTranspose2d(c // 4, c // 8, 2, stride=2),
            nn.GELU(),
        )
        filters = (ReluMlp((c, c, c, c // 8)) for _ in range(config.mask_tokens))
        self.output_hypernetworks_mlps = nn.ModuleList(filters)
        hidden = config.iou_hidden
        self.iou_prediction_head = ReluMlp((c, hidden, hidden, config.mask_tokens))

    def forward(self, image: Tensor, positions: Tensor, prompts: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """One mask for each prompt, that of the first mask token (SAM's answer to `multimask_output=False`).

        image: float32[1, c, g, g]. positions: its positional encoding. prompts: float32[N, 1, c].
        dense: float32[1, c, 1, 1], added to every cell.
        Returns logits float32[N, 4g, 4g] and predicted IoU float32[N].
        """
        count = prompts.shape[0]
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(count, -1, -1), prompts), dim=1)
        cells = (image + dense).expand(count, -1, -1, -1)
        tokens, cells = self.transformer(cells, positions, tokens)
        fine = self.output_upscaling(cells.transpose(1, 2).unflatten(2, image.shape[2:]))
        weights = self.output_hypernetworks_mlps[0](tokens[:, 1])
        logits = torch.einsum("nc,nchw->nhw", weights, fine)
        return logits, self.iou_prediction_head(tokens[:, 0])[:, 0]


class TwoWayTransformer(nn.Module):
    def __init__(self, config: SamDecoderConfig):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(config, first=index == 0) for index in range(config.depth))
        self.final_attn_token_to_image = Attention(config.channels, config.down)
        self.norm_final_attn = nn.LayerNorm(config.channels)

    def forward(self, image: Tensor, positions: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """image [N, c, g, g], start [N, T, c] -> tokens [N, T, c], cells [N, g * g, c]"""
        cells, places = (part.flatten(2).transpose(1, 2) for part in (image, positions))
        tokens = start
        for layer in self.layers:
            tokens, cells = layer(tokens, cells, start, places)
        found = self.final_attn_token_to_image(tokens + start, cells + places, cells)
        return self.norm_final_attn(tokens + found), cells


class TwoWayBlock(nn.Module):
    def __init__(self, config: SamDecoderConfig, first: bool):
        super().__init__()
        c = config.channels
        self.first = first
        self.self_attn = Attention(c, 1)
        self.cross_attn_token_to_image, self.cross_attn_image_to_token = (Attention(c, config.down) for _ in range(2))
        self.mlp = LinearPair(c, config.mlp)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(c) for _ in range(4))

    def forward(self, tokens: Tensor, cells: Tensor, start: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:  # the tokens are their own positions still, and nothing is added to them
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + start
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + start, cells + places, cells))
        tokens = self.norm3(tokens + self.mlp(tokens))
        cells = self.norm4(cells + self.cross_attn_image_to_token(cells + places, tokens + start, tokens))
        return tokens, cells


class Attention(nn.Module):
    """Multi-head attention at 1/down of the channels."""

    def __init__(self, channels: int, down: int):
        super().__init__()
        inner = channels // down
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(channels, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [N, Q, c], k and v [N or 1, K, c] -> [N, Q, c]"""
        projected = zip((self.q_proj, self.k_proj, self.v_proj), (q, k, v), strict=True)
        q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer, x in projected)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class LinearPair(nn.Module):
    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(channels, inner), nn.Linear(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class ReluMlp(nn.Module):
    def __init__(self, sizes: tuple[int, ...]):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
