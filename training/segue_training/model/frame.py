"""A picture in the square frame that the encoder sees: at the top left, the rest filled."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .config import VisionConfig

_VISION = VisionConfig()


def frame_size(height: int, width: int, frame: int = _VISION.frame) -> tuple[int, int]:
    """Height and width of a picture inside the frame: longest side = frame, rounded half up."""
    scale = frame / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def letterbox(pixels: np.ndarray) -> tuple[Tensor, tuple[int, int]]:
    """uint8[h, w, 3] -> (float32[3, 512, 512] RGB 0..255, picture top-left, (h, w) of it inside)."""
    height, width = frame_size(*pixels.shape[:2])
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    frame = np.empty((_VISION.frame, _VISION.frame, 3), np.uint8)
    frame[:] = _VISION.fill
    frame[:height, :width] = np.asarray(resized)
    return torch.from_numpy(frame).permute(2, 0, 1).float(), (height, width)
