"""Visual tokens: what the language model sees of a picture.

`VisualSummary` (no trained parts) squeezes the encoder's tensors into a few kilobytes that training can
cache; `Projector` turns them into 64 cell tokens (8 x 8) and 12 object tokens. Both put the language
model's own embedding of a class name where the detector sees the class, which makes the picture
readable from the first training step on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import COCO_NAMES, VisionConfig
from .geometry import FRAME

_POOLED = (("b5", 32), ("c4", 88), ("b14", 120))


class Summary(NamedTuple):
    """Squeezed encoder tensors of n pictures."""

    pooled: Tensor  # [n, 240, 8, 8] standardised backbone features
    tags: Tensor  # [n, classes, 8, 8] largest class logit in each cell
    objects: Tensor  # [n, classes, 6] a class's strongest peak: logit, x, y, w, h (0..1), and how many peaks like it


class VisualSummary(nn.Module):
    """Encoder tensors [n, ...] -> Summary."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.grid = config.grid
        for name, channels in _POOLED:
            self.register_buffer(f"{name}_mean", torch.zeros(1, channels, 1, 1))
            self.register_buffer(f"{name}_std", torch.ones(1, channels, 1, 1))

    def forward(self, features: dict[str, Tensor]) -> Summary:
        pooled = []
        for name, _ in _POOLED:
            values = (features[name] - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_std")
            pooled.append(F.avg_pool2d(values, values.shape[-1] // self.grid))
        heatmap = features["heatmap"]
        tags = F.max_pool2d(heatmap, heatmap.shape[-1] // self.grid)
        return Summary(torch.cat(pooled, 1), tags, self._objects(heatmap, features["ltrb"]))

    @staticmethod
    def _objects(heatmap: Tensor, ltrb: Tensor) -> Tensor:
        size = heatmap.shape[-1]
        logit, cell = heatmap.flatten(2).max(2)  # [n, classes]
        left, top, right, bottom = (ltrb.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)) / FRAME).unbind(1)
        x, y = (cell % size).to(logit.dtype) / size, (cell // size).to(logit.dtype) / size
        # A peak counts as one more thing when it is at least half as probable as the strongest one.
        probability = heatmap.sigmoid()
        peak = (probability >= F.max_pool2d(probability, 5, 1, 2)) & (probability >= 0.5 * probability.amax((2, 3), keepdim=True))
        count = peak.to(logit.dtype).sum((2, 3)).clamp(max=12.0)
        return torch.stack([logit, x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom, count], 2)


class Projector(nn.Module):
    """Summary -> visual tokens [n, 76, hidden]."""

    names: Tensor
    """float32[classes, hidden], the embeddings of the detector's class names"""

    def __init__(self, config: VisionConfig, hidden: int, classes: int = len(COCO_NAMES)):
        super().__init__()
        self.objects = config.objects
        self.cells = nn.Sequential(nn.Linear(240, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.position = nn.Parameter(torch.randn(config.grid**2, hidden) * 0.02)
        self.slot = nn.Parameter(torch.randn(config.objects, hidden) * 0.02)
        self.details = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, hidden))
        # Turns a detector logit into the weight of a name: a half at probability 0.1, where present and absent part.
        self.gate = nn.Parameter(torch.tensor([2.5, 5.5]))
        self.gain = nn.Parameter(torch.ones(2))
        self.register_buffer("names", torch.zeros(classes, hidden))
        for layer in (self.cells[2], self.details[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, summary: Summary, names: Tensor | None = None) -> Tensor:
        """`names` [n, classes, hidden] replaces the embeddings of the detector's class names (simulated pictures)."""
        n = summary.tags.shape[0]
        names = self.names.expand(n, -1, -1) if names is None else names
        weight = torch.sigmoid(self.gate[0] * summary.tags + self.gate[1]).flatten(2).transpose(1, 2)  # [n, 64, classes]
        cells = self.cells(summary.pooled.flatten(2).transpose(1, 2)) + self.position + self.gain[0] * (weight @ names)
        logit, order = summary.objects[:, :, 0].topk(self.objects, dim=1)
        values = summary.objects.gather(1, order[:, :, None].expand(-1, -1, 6))
        confidence = torch.sigmoid(logit)
        sure = torch.sigmoid(self.gate[0] * logit + self.gate[1])
        details = torch.cat([torch.stack([confidence, sure, logit / 4], 2), values[:, :, 1:5], values[:, :, 5:] / 4], 2)
        chosen = names.gather(1, order[:, :, None].expand(-1, -1, names.shape[-1]))
        # A name is as loud as the detector is sure of it: what is hardly there is hardly said.
        objects = self.gain[1] * sure[:, :, None] * chosen + self.details(details) + self.slot
        return torch.cat([cells, objects], 1)
