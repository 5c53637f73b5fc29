"""Stage 1: the mask decoder on the frozen vision encoder, prompted with name codes."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.data.augment import Frame, labelled_batch
from segue_training.data.photos import Photo
from segue_training.model.codes import PROMPT_NOISE, prompt_codes
from segue_training.model.frame import letterbox
from segue_training.model.mask_decoder import Features, MaskDecoder
from segue_training.model.mixed_precision import autocast
from segue_training.model.vision import CenterNet

from .decoder_views import Views, blur_evidence, classes_to_ask, peaks_in_view, targets, things_in_view
from .losses import BCE_WEIGHT, mask_bce, mask_dice, moments, view_iou
from .stage import Stage, StageOptions, parameter_groups

_PHOTOS, _THINGS = 6, 3


def encode(encoder: CenterNet, pixels: Tensor) -> list[Features]:
    """Frames float32[n, 3, 512, 512] -> encoder tensors of each, float32, batch 1, on the encoder's device."""
    pixels = pixels.to(encoder.stem.weight.device)
    with torch.no_grad(), autocast(pixels.device):
        batch = encoder(pixels.contiguous(memory_format=torch.channels_last))
    batch["rgb"] = pixels
    return [{name: value[i : i + 1].float().contiguous() for name, value in batch.items()} for i in range(len(pixels))]


def measure_moments(encoder: CenterNet, decoder: MaskDecoder, photos: list[Photo]) -> None:
    """Sets the decoder's per-channel standardisation from some photos."""
    features = [encode(encoder, letterbox(photo.pixels)[0][None])[0] for photo in photos]
    for name in ("b2", "b5", "c4", "b14"):
        mean, std = moments(torch.cat([f[name] for f in features]))
        getattr(decoder, f"{name}_mean").copy_(mean)
        getattr(decoder, f"{name}_std").copy_(std)


def train_decoder(
    encoder: CenterNet,
    decoder: MaskDecoder,
    photos: list[Photo],
    out: Path,
    options: StageOptions,
    seed: int = 0,
    rate: float = 8e-4,
    batch: int = _PHOTOS,
) -> None:
    """Trains what is not frozen of `decoder` but for its refiner, in place; resumes from OUT/<name>.pt. batch: photos a step."""
    decoder.refiner.requires_grad_(False)
    stage = Stage(decoder, parameter_groups([(decoder, rate)], 0.02), options, out, seed)

    def loss(step: int, rng: random.Random) -> dict[str, Tensor]:
        frames = labelled_batch(photos, batch, rng)
        features = encode(encoder, torch.stack([frame.tensor() for frame in frames]))
        return _losses(decoder, [_Shown(decoder, *pair, rng) for pair in zip(frames, features, strict=True)])

    decoder.train()
    stage.run(loss)
    decoder.eval()


class _Shown:
    """One frame's inputs and targets: things first, then the peaks of each question, `config.peaks` each."""

    def __init__(self, decoder: MaskDecoder, frame: Frame, feature: Features, rng: random.Random):
        feature = blur_evidence(feature, rng)
        parts = [self._things(decoder, frame, feature, rng)]
        parts += [self._question(decoder, frame, feature, label) for label in classes_to_ask(frame, feature, rng)]
        self.things, self.questions = parts[0], parts[1:]

    @staticmethod
    def _things(decoder: MaskDecoder, frame: Frame, feature: Features, rng: random.Random) -> dict[str, Tensor]:
        views = things_in_view(frame, feature, _THINGS, rng)
        prompt, relation = _prompts(decoder, views.label)
        with torch.no_grad():
            evidence = decoder.evidence(feature, prompt)
            strongest = feature["heatmap"].amax(1).sigmoid().expand_as(evidence)
            evidence = torch.where(views.label[:, None, None].to(evidence.device) >= 0, evidence, strongest)
            inputs = decoder.views(feature, evidence, views.boxes[:, None])
        return _part(decoder, frame, views, prompt, relation, inputs)

    @staticmethod
    def _question(decoder: MaskDecoder, frame: Frame, feature: Features, label: int) -> dict[str, Tensor]:
        prompt, relation = _prompts(decoder, torch.tensor([label]))
        with torch.no_grad():
            evidence = decoder.evidence(feature, prompt)
            peaks = decoder.peaks(feature, evidence)
            inputs = decoder.views(feature, evidence, peaks.boxes)
        views = peaks_in_view(frame, label, peaks.boxes[0])
        count = len(views.label)
        return _part(decoder, frame, views, prompt.expand(count, -1), relation.expand(count), inputs)


def _prompts(decoder: MaskDecoder, label: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy prompts of classes, each with a random relation; zeros where any thing is meant."""
    device = decoder.output_device
    relation = torch.randint(len(decoder.config.relations), label.shape)
    prompt = prompt_codes(decoder.config, label.clamp(min=0), relation)
    prompt = torch.where(label[:, None] >= 0, prompt + torch.randn_like(prompt) * PROMPT_NOISE, torch.zeros_like(prompt))
    return prompt.to(device), relation.to(device)


def _part(
    decoder: MaskDecoder, frame: Frame, views: Views, prompt: Tensor, relation: Tensor, inputs: tuple[Tensor, Tensor, Tensor]
) -> dict[str, Tensor]:
    device = prompt.device
    areas = [float(frame.masks[i].mean()) if i >= 0 else 0.0 for i in views.thing.tolist()]
    weight = torch.tensor([min(1.0, area / 0.003) ** 0.5 for area in areas]) * views.draws
    target, outside = targets(frame, views, decoder.config.fine)
    return {
        "coarse": inputs[0],
        "fine": inputs[1],
        "box": inputs[2],
        "prompt": prompt,
        "relation": relation,
        "label": views.label.to(device),
        "real": (views.thing >= 0).to(device),
        "weight": weight.to(device),
        "target": target,
        "outside": outside,
    }


def _losses(decoder: MaskDecoder, shown: list[_Shown]) -> dict[str, Tensor]:
    parts = [s.things for s in shown] + [question for s in shown for question in s.questions]
    all_of = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    prompt = decoder.normalise(all_of["prompt"])
    with autocast(prompt.device):
        logits, iou_logits = decoder.view(all_of["coarse"], all_of["fine"], prompt, all_of["box"])
    logits, iou_logits = logits.float(), iou_logits.float()
    with torch.no_grad():
        found = view_iou(logits, all_of["target"], all_of["outside"])
        true_iou = torch.where(all_of["real"], found, torch.zeros_like(found))
    total = all_of["weight"].sum().clamp(min=1.0)
    bce, dice = ((loss(logits, all_of["target"]) * all_of["weight"]).sum() / total for loss in (mask_bce, mask_dice))
    iou = F.binary_cross_entropy_with_logits(iou_logits, true_iou)
    first = sum(len(s.things["label"]) for s in shown)
    named, label = all_of["label"] >= 0, all_of["label"]
    words = F.cross_entropy(decoder.query(prompt[named]), label[named])
    words = words + F.cross_entropy(decoder.relation(prompt[named]), all_of["relation"][named])
    loss = BCE_WEIGHT * bce + dice + 0.5 * iou + 0.3 * words
    drawn = all_of["weight"][:first] > 0
    return {"loss": loss, "bce": bce, "dice": dice, "iou": true_iou[:first][drawn].mean(), "quality": iou, "words": words}
