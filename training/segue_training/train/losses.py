"""Losses: LISA's mask losses, answer cross-entropy, and alignment of `<SEG>` states with prompts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BCE_WEIGHT = 2.0


def mask_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy averaged over the pixels of each mask: [m, ...] -> [m]."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)


def mask_dice(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of each mask: [m, ...] -> [m]."""
    p, t = logits.sigmoid().flatten(1), target.flatten(1)
    return 1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)


def answer_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of answer tokens [t, vocabulary], averaged with a weight per token [t]."""
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def alignment_loss(prompts: Tensor, targets: Tensor) -> Tensor:
    """(1 - cosine) + squared error over the variance of the targets: [m, 256] -> [m]."""
    error = (prompts - targets).square().mean(1) / targets.square().mean().clamp(min=1e-6)
    return 1 - F.cosine_similarity(prompts, targets, dim=1) + error


def view_iou(logits: Tensor, target: Tensor, outside: Tensor) -> Tensor:
    """IoU of thresholded views with their masks; `outside` [m] is the mask area (cells) the view misses."""
    predicted, truth = (logits > 0).flatten(1), (target > 0.5).flatten(1)
    inter = (predicted & truth).sum(1)
    return inter / ((predicted | truth).sum(1) + outside).clamp(min=1.0)


@torch.no_grad()
def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of [n, c, h, w], shaped [1, c, 1, 1]; the latter at least 1e-3."""
    mean = values.mean((0, 2, 3), keepdim=True)
    return mean, values.std((0, 2, 3), keepdim=True).clamp(min=1e-3)
