"""LISA's way from a `<SEG>` embedding to mask logits of the frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sam_decoder import MaskDecoder, PromptEncoder, SamDecoderConfig


class ImageStage(nn.Module):
    """Segment Anything's encoder with its output named, as bundles ask."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"image_embeddings": self.encoder(pixels)}


class MaskStage(nn.Module):
    """Image embedding and text embeddings -> logits and scores, all in float32.

    The score is the mean over the mask of 2p - 1, with p the probability of each of its pixels: how decided the decoder is,
    0 for an empty mask. Segment Anything's own estimate of the IoU is of no use, because LISA never trained it for its
    prompts.
    """

    positions: Tensor
    """float32[1, c, g, g]"""

    def __init__(self, config: SamDecoderConfig, frame: int):
        super().__init__()
        self.frame = frame
        self.prompt_encoder = PromptEncoder(config.channels, config.grid)
        self.mask_decoder = MaskDecoder(config)
        self.register_buffer("positions", torch.zeros(1, config.channels, config.grid, config.grid), persistent=False)

    def fix_positions(self) -> None:
        """Compute the constants that follow from the weights; call it once they are loaded."""
        with torch.no_grad():
            self.positions.copy_(self.prompt_encoder.image_positions())

    def low_logits(self, image: Tensor, prompts: Tensor) -> Tensor:
        """float32[1, c, g, g], float32[n, c] -> float32[n, 4g, 4g]"""
        dense = self.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        return self.mask_decoder(image, self.positions, prompts[:, None], dense)[0]

    def forward(self, tensors: dict[str, Tensor], prompts: Tensor, resized: Tensor) -> tuple[Tensor, Tensor]:
        """-> logits float32[n, frame, frame], scores float32[n]; resized: int64[2], the picture inside the frame"""
        logits = self.low_logits(tensors["image_embeddings"], prompts)
        logits = F.interpolate(logits[:, None], (self.frame, self.frame), mode="bilinear", align_corners=False)[:, 0]
        cells = torch.arange(self.frame)
        inside = (cells < resized[0])[:, None] & (cells < resized[1])
        chosen = ((logits > 0) & inside).to(logits.dtype)
        decided = (torch.tanh(logits / 2) * chosen).sum((1, 2))  # 2 * sigmoid(x) - 1 = tanh(x / 2)
        return logits, decided / chosen.sum((1, 2)).clamp(min=1)
