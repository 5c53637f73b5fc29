"""The prompt space: where in the 256-d space a class name and a relation lie.

A prompt is the code of a name plus the code of a relation and, for "the cup next to the laptop", that of the landmark. Codes are
fixed random directions, almost orthogonal in 256 dimensions, so the mask decoder and the language model can be trained apart and
still meet: one learns to read the codes, the other to write them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .config import COCO_NAMES, DecoderConfig

RELATION_SIZE = LANDMARK_SIZE = 0.7
PROMPT_NOISE = 0.45
"""Standard deviation of what is added to prompts while the mask decoder learns to read them."""
_FIRST_RELATIONS = 9  # of models trained before there were more


def name_codes(config: DecoderConfig) -> Tensor:
    """float32[classes, prompt_size]; further names leave the codes of those before them as they are."""
    base = torch.randn(len(COCO_NAMES), config.prompt_size, generator=torch.Generator().manual_seed(17))
    further = torch.Generator().manual_seed(1700)
    own = [torch.randn(config.prompt_size, generator=further) for _ in range(config.classes - len(base))]
    return torch.cat([base[: config.classes], *(code[None] for code in own)])


def relation_codes(config: DecoderConfig) -> Tensor:
    """float32[relations, prompt_size]."""
    generator = torch.Generator().manual_seed(71)
    first = torch.randn(_FIRST_RELATIONS, config.prompt_size, generator=generator)
    further = torch.Generator().manual_seed(7100)
    more = [torch.randn(1, config.prompt_size, generator=further) for _ in config.relations[_FIRST_RELATIONS:]]
    return torch.cat([first[: len(config.relations)], *more]) * RELATION_SIZE


def landmark_codes(config: DecoderConfig) -> Tensor:
    """float32[classes + 1, prompt_size]: of each class as a landmark, and zeros at the end (index -1) for no landmark."""
    generator = torch.Generator().manual_seed(23)
    codes = [torch.randn(1, config.prompt_size, generator=generator) * LANDMARK_SIZE for _ in range(config.classes)]
    return torch.cat([*codes, torch.zeros(1, config.prompt_size)])


class PromptCodes:
    """The codes of a prompt's parts, ready to be added."""

    def __init__(self, config: DecoderConfig, device: torch.device | str = "cpu"):
        self.names, self.relations, self.landmarks = (
            codes(config).to(device) for codes in (name_codes, relation_codes, landmark_codes)
        )

    def __call__(self, names: Tensor, relations: Tensor, landmarks: Tensor | None = None) -> Tensor:
        """Class, relation and landmark indices [m] (-1: no landmark) -> prompts float32[m, prompt_size]"""
        prompts = self.names[names] + self.relations[relations]
        return prompts if landmarks is None else prompts + self.landmarks[landmarks]


def prompt_codes(config: DecoderConfig, names: Tensor, relations: Tensor, landmarks: Tensor | None = None) -> Tensor:
    """As `PromptCodes`, for a few prompts."""
    return PromptCodes(config)(names, relations, landmarks)
