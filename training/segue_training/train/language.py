"""Stages 2 and 3: the language model in front of the frozen mask decoder.

No mask is decoded here: the projected `<SEG>` states are pulled to the prompts that the decoder was
trained with, so that summaries of all photos can be cached once and a step sees dozens of questions.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.data.bank import Thing, load_follow_ups
from segue_training.data.packing import PackedRows, draw_to_fit, pack
from segue_training.data.questions import QuestionMaker
from segue_training.data.scenes import CachedPhoto, Picture, PictureSource, neighbours
from segue_training.model.codes import PromptCodes
from segue_training.model.mixed_precision import autocast
from segue_training.model.projector import Summary
from segue_training.model.segue_model import SegueModel

from .losses import alignment_loss, answer_loss
from .stage import Stage, StageOptions, parameter_groups

_PICTURES = 4
_ROW = 512
"""Tokens of a row; a fixed length lets one compiled layer serve every step."""
_FIRST_TOKEN_WEIGHT = 6.0


def train_language(
    model: SegueModel,
    cached: list[CachedPhoto],
    things: list[Thing],
    categories: list[list[str]],
    out: Path,
    name: str,
    steps: int,
    real_share: float,
    seed: int = 0,
) -> None:
    """Trains LoRA, projector, `<SEG>` head and token rows in place; resumes from OUT/<name>.pt.

    `real_share` of the pictures are photos, the others simulated scenes.
    """
    source = PictureSource(model, cached, things, neighbours(things, categories))
    maker = QuestionMaker(things, load_follow_ups(things), relations=model.decoder_config.relations)
    model.requires_grad_(False)
    for part in (model.language, model.projector, model.text_hidden_fcs):
        part.requires_grad_(True)
    heads = torch.nn.ModuleList([model.projector, model.text_hidden_fcs])
    groups = parameter_groups([(model.language, 4e-4), (heads, 1e-3)], 0.01)
    stage = Stage(model, groups, StageOptions(name, steps, warmup=20, ema=0.98), out, seed)
    room = _ROW - len(model.tokenizer.picture_ids(model.vision_config.visual_tokens))
    for layer in model.language.layers:
        layer.compile(dynamic=False)
    codes = PromptCodes(model.decoder_config, model.device)

    def loss(step: int, rng: random.Random) -> dict[str, Tensor]:
        pictures = [source.real(rng) if (i + 0.5) / _PICTURES < real_share else source.simulated(rng) for i in range(_PICTURES)]
        rows = [draw_to_fit(model.tokenizer, partial(maker.draw, p.scene, rng), room) for p in pictures]
        packed = pack(model.tokenizer, rows, model.vision_config.visual_tokens, _ROW).to(model.device)
        return language_losses(model, packed, visual_of(model, pictures), codes)

    stage.run(loss)
    model.requires_grad_(False)


def visual_of(model: SegueModel, pictures: list[Picture]) -> Tensor:
    """Visual tokens float32[n, 76, hidden] of pictures, under the names they wear."""
    summary = Summary(*(torch.cat(values) for values in zip(*(p.summary for p in pictures), strict=True)))
    return model.projector(summary, torch.stack([picture.names for picture in pictures]))


def language_losses(model: SegueModel, packed: PackedRows, visual: Tensor, codes: PromptCodes) -> dict[str, Tensor]:
    """Losses of packed questions about pictures with `visual` tokens [rows, 76, hidden]."""
    embeds = model.language.embed(packed.ids)
    is_image = packed.ids == model.tokenizer.image
    embeds = embeds.masked_scatter(is_image[..., None], visual.to(embeds.dtype))
    with autocast(embeds.device):
        hidden, _ = model.language(embeds, packed.positions, packed.bias)
        hidden = hidden.flatten(0, 1)
        logits = model.language.logits(hidden[packed.predicts])
    weights = torch.where(packed.first, _FIRST_TOKEN_WEIGHT, 1.0)
    answer = answer_loss(logits, packed.labels, weights)
    with torch.no_grad():
        hit = (logits.argmax(-1) == packed.labels).float()
    align, right = _alignment(model, hidden.float(), packed.seg, packed.targets, codes)
    early, _ = _alignment(model, hidden.float(), packed.single, packed.single_targets, codes)
    loss = answer + 2.0 * align + 0.5 * early
    return {
        "loss": loss,
        "answer": answer,
        "align": align,
        "early": early,
        "named": right,
        "first": hit[packed.first].mean(),
        "words": hit.mean(),
    }


def _alignment(model: SegueModel, hidden: Tensor, at: Tensor, targets: Tensor, codes: PromptCodes) -> tuple[Tensor, Tensor]:
    """Loss between projected states and prompt codes, and the share whose prompt names the right class."""
    known = (targets[:, 0] < model.decoder_config.classes) & (targets[:, 2] < model.decoder_config.classes)
    at, targets = at[known], targets[known]
    if len(at) == 0:
        return hidden.sum() * 0, torch.zeros((), device=hidden.device)
    prompts = model.text_hidden_fcs(hidden[at])
    loss = alignment_loss(prompts, codes(*targets.unbind(1))).mean()
    normal = model.decoder.normalise(prompts)
    query, relation = model.decoder.query(normal), model.decoder.relation(normal)
    loss = loss + 0.1 * (F.cross_entropy(query, targets[:, 0]) + F.cross_entropy(relation, targets[:, 1]))
    return loss, (query.argmax(-1) == targets[:, 0]).float().mean()
