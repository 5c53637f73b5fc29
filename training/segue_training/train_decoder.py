"""Stage 1: the mask decoder on the frozen vision encoder, prompted with name codes."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .augment import Frame, augmented_batch
from .codes import prompt_codes
from .config import RELATIONS
from .data import Photo, letterbox
from .geometry import FRAME, box_iou, sample, view_grid, view_of
from .losses import BCE_WEIGHT, mask_bce, mask_dice, moments, view_iou
from .mask_decoder import Features, MaskDecoder
from .trainer import Stage, StageOptions, parameter_groups
from .vision import CenterNet

_PHOTOS, _VIEWS = 8, 6
_PROMPT_NOISE = 0.45


@dataclass
class _Views:
    """Chosen views of one frame: what to ask, where, and the mask expected there."""

    labels: list[int]  # class asked; -1 = any thing (null prompt)
    boxes: Tensor  # [m, 4]
    masks: list[int]  # index into the frame's masks; -1 = nothing of the class is here


def encode(encoder: CenterNet, pixels: Tensor) -> list[Features]:
    """Frames float32[n, 3, 512, 512] -> encoder tensors of each, float32, batch 1, on the encoder's device."""
    pixels = pixels.to(encoder.stem.weight.device)
    with torch.no_grad(), torch.autocast(pixels.device.type, torch.bfloat16):
        batch = encoder(pixels.contiguous(memory_format=torch.channels_last))
    batch["rgb"] = F.avg_pool2d(pixels, 2)
    return [{name: value[i : i + 1].float().contiguous() for name, value in batch.items()} for i in range(len(pixels))]


def measure_moments(encoder: CenterNet, decoder: MaskDecoder, photos: list[Photo]) -> None:
    """Sets the decoder's per-channel standardisation from some photos."""
    features = [encode(encoder, letterbox(photo.pixels)[0][None])[0] for photo in photos]
    for name in ("b2", "b5", "c4", "b14"):
        mean, std = moments(torch.cat([f[name] for f in features]))
        getattr(decoder, f"{name}_mean").copy_(mean)
        getattr(decoder, f"{name}_std").copy_(std)


def train_decoder(
    encoder: CenterNet, decoder: MaskDecoder, photos: list[Photo], out: Path, steps: int, seed: int = 0
) -> None:
    """Trains `decoder` in place; resumes from OUT/decoder.pt."""
    measure_moments(encoder, decoder, photos[::6])
    options = StageOptions("decoder", steps)
    stage = Stage(decoder, parameter_groups([(decoder, 8e-4)], 0.02), options, out, seed)

    def loss(step: int, rng: random.Random) -> dict[str, Tensor]:
        frames = augmented_batch(rng.sample(photos, _PHOTOS), rng)
        features = encode(encoder, torch.stack([frame.tensor() for frame in frames]))
        return _step(decoder, frames, features, rng)

    decoder.train()
    stage.run(loss)
    decoder.eval()


def _step(decoder: MaskDecoder, frames: list[Frame], features: list[Features], rng: random.Random) -> dict[str, Tensor]:
    inputs, prompts, names, targets, outside, kinds, weights = [], [], [], [], [], [], []
    for frame, feature in zip(frames, features, strict=True):
        views = _choose_views(frame, feature, rng)
        if not views.labels:
            continue
        labels = torch.tensor(views.labels, device=views.boxes.device)
        relation = torch.randint(len(RELATIONS), labels.shape)
        prompt = prompt_codes(decoder.config, labels.cpu().clamp(min=0), relation)
        prompt = (prompt + torch.randn_like(prompt) * _PROMPT_NOISE).to(labels.device)
        prompt = torch.where(labels[:, None] >= 0, prompt, torch.zeros_like(prompt))
        prompts.append(prompt)
        names.append(torch.stack([labels, relation.to(labels.device)]))
        with torch.no_grad():
            evidence = decoder.evidence(feature, prompt)
            strongest = feature["heatmap"].amax(1).sigmoid().expand_as(evidence)
            evidence = torch.where(labels[:, None, None] >= 0, evidence, strongest)
            inputs.append(decoder.views(feature, evidence, views.boxes[:, None]))
        target, missed = _targets(frame, views, decoder.config.fine)
        targets.append(target)
        outside.append(missed)
        kinds.append(torch.tensor([mask >= 0 for mask in views.masks], device=labels.device))
        areas = [frame.masks[mask].mean() if mask >= 0 else 0.05 for mask in views.masks]
        weights.append(torch.tensor([min(1.0, float(area) / 0.003) ** 0.5 for area in areas], device=labels.device))
    coarse, fine, box = (torch.cat(parts) for parts in zip(*inputs, strict=True))
    prompt, target, outside, real, weight = (torch.cat(p) for p in (prompts, targets, outside, kinds, weights))
    label, relation = torch.cat(names, 1)
    prompt = decoder.normalise(prompt)
    with torch.autocast(prompt.device.type, torch.bfloat16):
        logits, iou_logits = decoder.view(coarse, fine, prompt, box)
    logits, iou_logits = logits.float(), iou_logits.float()
    with torch.no_grad():
        true_iou = torch.where(real, view_iou(logits, target, outside), torch.zeros_like(iou_logits))
    weight = weight * real
    total = weight.sum().clamp(min=1.0)
    bce, dice = ((loss(logits, target) * weight).sum() / total for loss in (mask_bce, mask_dice))
    iou = F.binary_cross_entropy_with_logits(iou_logits, true_iou)
    named = label >= 0
    words = F.cross_entropy(decoder.query(prompt[named]), label[named])
    words = words + F.cross_entropy(decoder.relation(prompt[named]), relation[named])
    loss = BCE_WEIGHT * bce + dice + 0.3 * iou + 0.3 * words
    mean_iou = (true_iou * real).sum() / real.sum().clamp(min=1)
    return {"loss": loss, "bce": bce, "dice": dice, "iou": mean_iou, "words": words}


def _choose_views(frame: Frame, feature: Features, rng: random.Random) -> _Views:
    labels: list[int] = []
    boxes: list[Tensor] = []
    masks: list[int] = []
    truth = torch.from_numpy(frame.boxes())
    areas = frame.masks.reshape(-1, FRAME * FRAME).mean(1)
    count = {label: frame.labels.count(label) for label in frame.labels}
    odds = [min(1.0, area / 0.005) ** 0.7 / count[label] ** 0.5 for area, label in zip(areas, frame.labels, strict=True)]
    for _ in range(_VIEWS):
        if not frame.labels:
            break
        if rng.random() < 0.75:
            index = rng.choices(range(len(odds)), odds)[0]
            label = -1 if rng.random() < 0.09 else frame.labels[index]
            found = _detector_boxes(feature, frame.labels[index])[1] if rng.random() < 0.6 else truth[:0]
            fitting = found[box_iou(found, truth[index]) > 0.4]
            box = fitting[rng.randrange(len(fitting))] if len(fitting) else _jitter(truth[index], rng)
        else:
            label = rng.choice(frame.labels) if rng.random() < 0.5 else rng.choice(_plausible(feature))
            _, found = _detector_boxes(feature, label)
            box = found[rng.randrange(len(found))]
            same = [i for i, other in enumerate(frame.labels) if other == label]
            overlaps = box_iou(truth[same], box) if same else torch.zeros(0)
            best = float(overlaps.max()) if same else 0.0
            if 0.15 <= best < 0.5:
                continue  # neither clearly this thing nor clearly none
            index = same[int(overlaps.argmax())] if best >= 0.5 else -1
        labels.append(label)
        boxes.append(box)
        masks.append(index)
    return _Views(labels, (torch.stack(boxes) if boxes else truth[:0]).to(feature["ltrb"].device), masks)


def _detector_boxes(feature: Features, label: int, count: int = 6) -> tuple[Tensor, Tensor]:
    """The detector's own strongest peaks of a class: values [k], boxes [k, 4], on the CPU."""
    evidence = feature["heatmap"][:, label].sigmoid()
    kept = evidence * (evidence >= F.max_pool2d(evidence, 3, 1, 1))
    values, cells = kept.flatten().topk(count)
    rows, columns = cells // evidence.shape[-1], cells % evidence.shape[-1]
    left, top, right, bottom = feature["ltrb"][0, :, rows, columns]
    x, y = columns * 4.0, rows * 4.0
    boxes = torch.stack([x - left, y - top, x + right, y + bottom], 1).clamp(0, FRAME).cpu()
    return values.cpu(), boxes


def _plausible(feature: Features) -> list[int]:
    """The ten classes the detector is surest of."""
    return feature["heatmap"].amax((0, 2, 3)).topk(10).indices.tolist()


def _jitter(box: Tensor, rng: random.Random) -> Tensor:
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    x = float(box[0] + box[2]) / 2 + rng.gauss(0, 0.07) * width
    y = float(box[1] + box[3]) / 2 + rng.gauss(0, 0.07) * height
    width, height = width * math.exp(rng.gauss(0, 0.13)), height * math.exp(rng.gauss(0, 0.13))
    return torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2]).clamp(0, FRAME)


def _targets(frame: Frame, views: _Views, size: int) -> tuple[Tensor, Tensor]:
    """Masks in the views [m, size, size] (soft edges), and the mask area outside each view in view cells [m]."""
    masks = torch.stack(
        [torch.from_numpy(frame.masks[i]).float() if i >= 0 else torch.zeros(FRAME, FRAME) for i in views.masks]
    ).to(views.boxes.device)
    target = sample(masks[:, None], view_grid(views.boxes, size)[:, None])[:, 0, 0]
    cell = (view_of(views.boxes)[1] / size).prod(-1)  # pixels a cell covers
    outside = (masks.sum((1, 2)) / cell - target.sum((1, 2))).clamp(min=0.0)
    return target, outside
