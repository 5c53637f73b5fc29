"""The prompt space: where in the 256-d space a class name and a relation lie.

A prompt is the code of a name plus the code of a relation. Codes are fixed random directions, almost
orthogonal in 256 dimensions, so the mask decoder and the language model can be trained apart and
still meet: one learns to read the codes, the other to write them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .config import COCO_NAMES, DecoderConfig

RELATION_SIZE = 0.7


def name_codes(config: DecoderConfig) -> Tensor:
    """float32[classes, prompt_size]; further names leave the codes of those before them as they are."""
    base = torch.randn(len(COCO_NAMES), config.prompt_size, generator=torch.Generator().manual_seed(17))
    further = torch.Generator().manual_seed(1700)
    own = [torch.randn(config.prompt_size, generator=further) for _ in range(config.classes - len(base))]
    return torch.cat([base[: config.classes], *(code[None] for code in own)])


def relation_codes(config: DecoderConfig) -> Tensor:
    """float32[relations, prompt_size]."""
    generator = torch.Generator().manual_seed(71)
    return torch.randn(len(config.relations), config.prompt_size, generator=generator) * RELATION_SIZE


def prompt_codes(config: DecoderConfig, names: Tensor, relations: Tensor) -> Tensor:
    """Prompts of class indices [m] and relation indices [m]: float32[m, prompt_size]."""
    return name_codes(config)[names] + relation_codes(config)[relations]
