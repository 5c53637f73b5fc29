"""The second look: the chosen candidate is cut out of the frame, enlarged, encoded anew and its mask redrawn.

A view of a small thing is a handful of feature cells wide. Cut out of the picture and brought to 256 x 256 pixels it
passes through a copy of the backbone's first blocks, fine-tuned for this, and a light U-shaped network corrects the first
mask at 128 x 128. It starts as the identity: untrained, it returns the first mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import sample, view_grid
from .layers import ResidualBlock
from .vision import CenterNet, Trunk

CROP, SIDE = 256, 128
"""Pixels of the crop, and cells of the mask drawn in it."""


class Refiner(nn.Module):
    """Redraws masks in views of the frame."""

    def __init__(self, prompt_size: int):
        super().__init__()
        self.trunk = Trunk()
        self.taps = nn.ModuleDict(
            {
                name: nn.Sequential(nn.GroupNorm(groups, inputs), nn.Conv2d(inputs, outputs, 1))
                for name, groups, inputs, outputs in (
                    ("stem", 4, 16, 16),
                    ("b2", 8, 24, 32),
                    ("b5", 8, 32, 64),
                    ("c4", 8, 88, 96),
                )
            }
        )
        self.hints = nn.ModuleDict({"64": nn.Conv2d(2, 32, 3, padding=1), "16": nn.Conv2d(2, 96, 3, padding=1)})
        self.film = nn.Linear(prompt_size, 2 * 96)
        self.blocks = nn.ModuleDict({str(side): ResidualBlock(channels) for side, channels in ((16, 96), (32, 64), (64, 32))})
        self.ups = nn.ModuleDict(
            {
                str(side): nn.Conv2d(inputs, 4 * outputs, 1)
                for side, inputs, outputs in ((32, 96, 64), (64, 64, 32), (128, 32, 16))
            }
        )
        self.out = nn.Sequential(nn.GELU(), nn.Conv2d(16, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 1, 1))
        for layer in (self.film, self.out[-1]):
            assert isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def start_from(self, encoder: CenterNet) -> None:
        """Gives the trunk the encoder's weights; its first blocks stay as they are."""
        wanted = self.trunk.state_dict()
        self.trunk.load_state_dict({name: value for name, value in encoder.state_dict().items() if name in wanted})

    def forward(self, rgb: Tensor, boxes: Tensor, first: Tensor, prompt: Tensor) -> Tensor:
        """Frame float32[1,3,512,512] (0..255), boxes [m,4], first logits [m,48,48], normalised prompts [m,256].

        Returns logits [m,128,128] in the same views.
        """
        crops = sample(rgb, view_grid(boxes, CROP)[None])[0]
        return self.redraw(crops, first, prompt)

    def redraw(self, crops: Tensor, first: Tensor, prompt: Tensor) -> Tensor:
        """As `forward`, for crops float32[m,3,256,256] that are cut already."""
        first = first[:, None]
        hints = torch.cat([first.clamp(-8, 8) / 4, (first > 0).to(first.dtype)], 1)
        taps = {name: self.taps[name](value) for name, value in self.trunk(crops).items()}
        scale, shift = self.film(prompt)[:, :, None, None].chunk(2, 1)
        x = taps["c4"] + self.hints["16"](F.interpolate(hints, size=(16, 16), mode="bilinear", align_corners=False))
        x = self.blocks["16"](x * (1 + scale) + shift)
        x = self.blocks["32"](F.pixel_shuffle(self.ups["32"](x), 2) + taps["b5"])
        x = F.pixel_shuffle(self.ups["64"](x), 2) + taps["b2"]
        x = self.blocks["64"](x + self.hints["64"](F.interpolate(hints, size=(64, 64), mode="bilinear", align_corners=False)))
        x = F.pixel_shuffle(self.ups["128"](x), 2) + taps["stem"]
        before = F.interpolate(first, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return (before + self.out(x))[:, 0]
