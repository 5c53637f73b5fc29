"""Which candidate an instruction means, by the relation that its prompt carries. Everything is exportable to ONNX.

Shapes in comments: n prompts, k candidates each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .config import COLOURS
from .geometry import FRAME, box_iou

NEVER = -1e4
_SAME_THING = 0.5
"""Box IoU from which two candidates count as one thing."""
_SHADES = {
    "black": ((15, 15, 15), (45, 45, 48)),
    "white": ((245, 245, 245), (215, 215, 215)),
    "grey": ((85, 85, 88), (125, 125, 128), (170, 170, 172)),
    "red": ((195, 30, 35), (135, 25, 30), (220, 70, 60)),
    "orange": ((240, 120, 30), (240, 155, 70)),
    "yellow": ((245, 220, 60), (205, 180, 40), (245, 230, 150)),
    "green": ((50, 130, 55), (120, 165, 60), (30, 75, 40), (150, 200, 120)),
    "blue": ((40, 80, 180), (95, 150, 210), (30, 45, 95), (60, 175, 200)),
    "purple": ((110, 50, 140), (155, 105, 185)),
    "pink": ((240, 140, 170), (220, 90, 140)),
    "brown": ((110, 70, 40), (75, 48, 30), (160, 115, 75), (200, 165, 120)),
}
"""RGB values, 0..255, that people call so."""
_SOFTNESS = 12.0
"""Distance in CIELAB over which a pixel passes from one shade to another."""


def distinct(boxes: Tensor, best: Tensor, plausible: Tensor) -> Tensor:
    """Plausible candidates that no better plausible one covers: bool[n, k]"""
    covered = box_iou(boxes[:, :, None], boxes[:, None]) > _SAME_THING  # [n, k, k]
    better = (best[:, None] > best[:, :, None]) & plausible[:, None]
    return plausible & ~(covered & better).any(2)


def from_side(position: Tensor, counted: Tensor, nth: int) -> Tensor:
    """Rank float[n, k] that is largest for the nth (from 0) of the counted candidates in ascending `position`.

    For the last if there are fewer.
    """
    before = ((position[:, None] < position[:, :, None]) & counted[:, None]).sum(2)
    return torch.where(counted, -(before - nth).abs().to(position.dtype), torch.full_like(position, NEVER))


def colour_shares(rgb: Tensor, logits: Tensor) -> Tensor:
    """Pixels rgb [m, 3, s, s], 0..255, and mask logits [m, s, s] -> share of each mask that has each of COLOURS: [m, colours]"""
    shades = [torch.tensor(values, dtype=rgb.dtype, device=rgb.device) for values in (_SHADES[colour] for colour in COLOURS)]
    known = _lab(torch.cat(shades).T[None]).squeeze(0).T  # [shades, 3]
    pixels = _lab(rgb.flatten(2))  # [m, 3, s * s]
    squares = pixels.square().sum(1)[:, None] + known.square().sum(1)[None, :, None] - 2 * known[None] @ pixels
    likely = torch.softmax(-squares / (2 * _SOFTNESS**2), 1)
    inside = (logits.flatten(1) > 0).to(rgb.dtype)
    each = (likely @ inside[:, :, None]).squeeze(2) / inside.sum(1, keepdim=True).clamp(min=1.0)  # [m, shades]
    return torch.stack([part.sum(1) for part in each.split([len(values) for values in shades], 1)], 1)


def _lab(rgb: Tensor) -> Tensor:
    """sRGB [m, 3, p], 0..255 -> CIELAB (D65) of the same shape"""
    linear = (rgb / 255).clamp(min=0.0) ** 2.2
    to_xyz = rgb.new_tensor(
        [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]]
    )  # rows sum to 1: white is 1
    x, y, z = (to_xyz @ linear).clamp(min=1e-4).pow(1 / 3).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def apart(boxes: Tensor, landmarks: Tensor) -> Tensor:
    """How far boxes [n, k, 4] are from the nearest of landmarks [n, l, 4]: [n, k] in frames.

    The gap counts, and a little the centres' distance.
    """
    a, b = boxes[:, :, None], landmarks[:, None]
    gap = torch.maximum(b[..., :2] - a[..., 2:], a[..., :2] - b[..., 2:]).clamp(min=0)
    centre = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return ((gap.square().sum(-1) + 1e-6).sqrt() + 0.25 * (centre.square().sum(-1) + 1e-6).sqrt()).amin(2) / FRAME
