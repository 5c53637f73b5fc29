"""Stage 2: the refiner behind the frozen mask decoder."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.data.augment import Frame, labelled_batch
from segue_training.data.photos import Photo
from segue_training.model.codes import prompt_codes
from segue_training.model.config import RELATIONS
from segue_training.model.geometry import sample, view_grid
from segue_training.model.mask_decoder import Features, MaskDecoder
from segue_training.model.mixed_precision import autocast
from segue_training.model.refiner import CROP, SIDE
from segue_training.model.vision import CenterNet, channels_last

from .decoder import encode
from .decoder_views import Views, blur_evidence, targets, things_in_view
from .losses import BCE_WEIGHT, mask_bce, mask_dice, view_iou
from .stage import Stage, StageOptions, parameter_groups

_PHOTOS, _THINGS = 6, 4
_FROZEN_BLOCKS = 3
"""The trunk's first blocks keep the encoder's weights: they see edges, and dominate the cost of training."""


def train_refiner(
    encoder: CenterNet,
    decoder: MaskDecoder,
    photos: list[Photo],
    out: Path,
    options: StageOptions,
    seed: int = 0,
    rate: float = 1e-3,
    batch: int = _PHOTOS,
    fresh: bool = True,
) -> None:
    """Trains `decoder.refiner` in place; resumes from OUT/<name>.pt. batch: photos a step; fresh: starts from the encoder."""
    refiner = decoder.refiner
    if fresh and not (out / f"{options.name}.pt").exists():
        refiner.start_from(encoder)
    decoder.requires_grad_(False)
    refiner.requires_grad_(True)
    refiner.trunk.stem.requires_grad_(False)
    refiner.trunk.blocks[:_FROZEN_BLOCKS].requires_grad_(False)
    channels_last(refiner)
    heads = torch.nn.ModuleList(module for name, module in refiner.named_children() if name != "trunk")
    groups = parameter_groups([(heads, rate), (refiner.trunk, 0.15 * rate)], 0.02)
    stage = Stage(refiner, groups, options, out, seed)

    def loss(step: int, rng: random.Random) -> dict[str, Tensor]:
        frames = labelled_batch(photos, batch, rng)
        features = encode(encoder, torch.stack([frame.tensor() for frame in frames]))
        parts = [_first_look(decoder, frame, feature, rng) for frame, feature in zip(frames, features, strict=True)]
        return _losses(decoder, {name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    stage.run(loss)
    decoder.requires_grad_(True)


@torch.no_grad()
def _first_look(decoder: MaskDecoder, frame: Frame, feature: Features, rng: random.Random) -> dict[str, Tensor]:
    """Crops, first masks and targets of some things of a frame."""
    feature = blur_evidence(feature, rng)
    views: Views = things_in_view(frame, feature, _THINGS, rng)
    label = torch.tensor([frame.labels[i] for i in views.thing.tolist()])  # no null prompts here
    prompt = prompt_codes(decoder.config, label, torch.randint(len(RELATIONS), label.shape)).to(decoder.output_device)
    evidence = decoder.evidence(feature, prompt)
    boxes = views.boxes[:, None]
    with autocast(prompt.device):
        first, *_ = decoder.decode(feature, prompt, evidence, boxes)
    target, outside = targets(frame, views, SIDE)
    areas = torch.tensor([float(frame.masks[i].mean()) for i in views.thing.tolist()])
    return {
        "crops": sample(feature["rgb"], view_grid(views.boxes, CROP)[None])[0],
        "first": first[:, 0].float(),
        "prompt": decoder.normalise(prompt),
        "target": target,
        "outside": outside,
        "weight": (areas / 0.003).clamp(max=1.0).sqrt().to(prompt.device),
    }


def _losses(decoder: MaskDecoder, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    crops = batch["crops"].contiguous(memory_format=torch.channels_last)
    logits = decoder.refiner.redraw(crops, batch["first"], batch["prompt"])
    weight, target = batch["weight"], batch["target"]
    bce, dice = ((loss(logits, target) * weight).sum() / weight.sum() for loss in (mask_bce, mask_dice))
    with torch.no_grad():
        before = F.interpolate(batch["first"][:, None], size=(SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
        first = view_iou(before, target, batch["outside"])
        found = view_iou(logits, target, batch["outside"])
    return {"loss": BCE_WEIGHT * bce + dice, "bce": bce, "dice": dice, "first": first.mean(), "iou": found.mean()}
