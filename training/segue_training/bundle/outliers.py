"""Input channels whose values are far larger than the others'.

A few channels of a language model carry most of its activations' size. If they were rounded together with the rest, a
token's scale would follow them and the rest would drown in rounding. So the exported graphs multiply them in float32
(the idea of LLM.int8(), Dettmers et al. 2022). Which channels they are hardly depends on the input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from segue_training.model.language import LanguageModel, LoraLinear

COUNT = 8
"""Channels of each linear layer that stay float32."""


@torch.inference_mode()
def find_outliers(model: LanguageModel, prompts: Iterable[Tensor], count: int = COUNT) -> dict[str, np.ndarray]:
    """Names of the linear layers ("3.qkv") -> int64[count], the channels whose peaks are largest in the prompts' mean.

    A mean of peaks settles as prompts are added; the largest of all peaks would go on changing with single prompts.
    prompts: embeddings float32[1, S, H] of typical inputs.
    """
    peaks: dict[str, list[Tensor]] = defaultdict(list)
    hooks = [
        module.register_forward_pre_hook(partial(_record, peaks, name.removeprefix("layers.")))
        for name, module in model.named_modules()
        if isinstance(module, LoraLinear)
    ]
    try:
        for embeds in prompts:
            model(embeds)
    finally:
        for hook in hooks:
            hook.remove()
    means = {name: torch.stack(found).mean(0) for name, found in peaks.items()}
    return {name: mean.topk(count).indices.sort().values.numpy() for name, mean in means.items()}


def _record(peaks: dict[str, list[Tensor]], name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
    peaks[name].append(inputs[0].abs().flatten(0, -2).amax(0))
