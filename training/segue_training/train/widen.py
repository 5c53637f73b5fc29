"""Gives a model that was trained with fewer relations all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from segue_training.data.scene import NOWHERE
from segue_training.model.codes import PROMPT_NOISE, PromptCodes
from segue_training.model.config import RELATIONS, DecoderConfig
from segue_training.model.mask_decoder import MaskDecoder
from segue_training.model.segue_model import SegueModel

_BATCH, _RATE = 512, 2e-3


def widen_relations(model: SegueModel, steps: int = 1500) -> dict[str, float]:
    """Replaces the decoder's heads that read a prompt's relation and landmark, in place.

    Masks do not depend on them, so nothing else is trained but the class query, which must read names beside landmarks as
    well. Returns the share of noisy prompts that each head reads rightly.
    """
    old = model.decoder
    config = DecoderConfig(classes=old.config.classes, relations=RELATIONS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = MaskDecoder(config)
        kept = {name: value for name, value in old.state_dict().items() if not name.startswith(("relation.", "landmark."))}
        decoder.load_state_dict(kept, strict=False)
        figures = _train_heads(decoder, steps)
    model.decoder, model.decoder_config = decoder.to(model.device).eval(), config
    return figures


def _train_heads(decoder: MaskDecoder, steps: int) -> dict[str, float]:
    config, codes = decoder.config, PromptCodes(decoder.config)
    heads = nn.ModuleDict({"query": decoder.query, "relation": decoder.relation, "landmark": decoder.landmark})
    optimiser = torch.optim.Adam(heads.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def draw() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        near = RELATIONS.index("near")
        relation = torch.randint(len(RELATIONS), (_BATCH,))
        relation[: _BATCH // 4] = near
        landmark = torch.where(relation == near, torch.randint(config.classes, (_BATCH,)), NOWHERE)
        name = torch.randint(config.classes, (_BATCH,))
        prompt = codes(name, relation, landmark)
        prompt = prompt + torch.randn_like(prompt) * PROMPT_NOISE
        return decoder.normalise(prompt), {"query": name, "relation": relation, "landmark": landmark + 1}

    for _ in range(steps):
        prompt, labels = draw()
        loss = torch.stack([F.cross_entropy(head(prompt), labels[name]) for name, head in heads.items()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        prompt, labels = draw()
        return {name: round(float((head(prompt).argmax(1) == labels[name]).float().mean()), 3) for name, head in heads.items()}
