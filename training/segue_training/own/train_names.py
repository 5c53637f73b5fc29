"""Trains the rows that `add_names` added: where the new things are, and which prompts ask for them. Nothing else changes.

The detector's last layer is linear in frozen features, so its new channels are a logistic regression (CenterNet's focal
loss) over the cells of some augmented views. The boxes come from the shared box head, which never saw such things; how
well they fit is measured.
"""

from __future__ import annotations

import random
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.data.augment import Frame, augmented_batch
from segue_training.data.photos import Photo
from segue_training.model.codes import PROMPT_NOISE, name_codes, relation_codes
from segue_training.model.geometry import FRAME, box_iou, cell_boxes
from segue_training.model.mask_decoder import MaskDecoder
from segue_training.model.mixed_precision import autocast
from segue_training.model.segue_model import SegueModel
from segue_training.model.vision import CenterNet, SameConv

from .names import last_layer

_VIEWS, _BATCH = 96, 6
_SIDE = 128  # cells a side of the heatmap
_SPREAD = 0.54 / 6  # of a box's side: the Gaussian's standard deviation (TTFNet, as the detector was trained)
_STEPS = 250
_FAR = 1000
"""Cells of a view that are kept of those far from everything."""


def train_queries(decoder: MaskDecoder, count: int, steps: int = 300) -> float:
    """Fits the last `count` rows of `decoder.query` in place; returns the share of noisy prompts read rightly, over all names."""
    head, config = last_layer(decoder.query), decoder.config
    names, relations = name_codes(config), relation_codes(config)
    weight, bias = torch.zeros(count, head.in_features, requires_grad=True), torch.zeros(count, requires_grad=True)
    optimiser = torch.optim.Adam([weight, bias], 0.02)
    generator = torch.Generator().manual_seed(0)

    def draw() -> tuple[Tensor, Tensor]:
        # Every other prompt is for a new name: there are few of them.
        old = torch.randint(config.classes - count, (256,), generator=generator)
        label = torch.cat([old, config.classes - 1 - torch.randint(count, (256,), generator=generator)])
        noise = torch.randn(len(label), config.prompt_size, generator=generator) * PROMPT_NOISE
        prompts = names[label] + relations[torch.randint(len(relations), label.shape, generator=generator)] + noise
        with torch.no_grad():
            return decoder.query[:-1](decoder.normalise(prompts)), label

    for _ in range(steps):
        states, label = draw()
        logits = torch.cat([head(states)[:, :-count].detach(), F.linear(states, weight, bias)], 1)
        loss = F.cross_entropy(logits, label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        head.weight[-count:], head.bias[-count:] = weight, bias
        states, label = draw()
        return float((head(states).argmax(1) == label).float().mean())


def train_channels(model: SegueModel, photos: list[Photo], count: int, seed: int = 0, limit_s: float = 60.0) -> dict[str, float]:
    """Fits the last `count` heatmap channels in place.

    Returns, by name, the mean IoU of the shared box head's boxes with the true ones at the things' centres.
    """
    labels, started = range(len(model.names) - count, len(model.names)), time.monotonic()
    rng = random.Random(f"{seed}-channels")
    kept: list[_Cells] = []
    fits: dict[int, list[float]] = {label: [] for label in labels}
    while len(kept) < _VIEWS and (len(kept) < 2 * _BATCH or time.monotonic() - started < limit_s):
        frames = augmented_batch([rng.choice(photos) for _ in range(_BATCH)], rng)
        tapped, boxes = _look(model.vision, torch.stack([frame.tensor() for frame in frames]))
        for frame, values, found in zip(frames, tapped, boxes, strict=True):
            kept.append(_keep_cells(values, *heat(frame, labels), rng))
            _measure_boxes(frame, found, fits)
    _regress(model.vision.class_head.pointwise, _Cells(*(torch.cat(parts) for parts in zip(*kept, strict=True))))
    return {model.names[label]: sum(values) / len(values) for label, values in fits.items() if values}


class _Cells(NamedTuple):
    """Some cells of some views."""

    values: Tensor  # [m, 128]
    target: Tensor  # [m, names]
    counts: Tensor  # [m, names] how many cells each stands for; 0 where the answer is not known


def _keep_cells(values: Tensor, target: Tensor, counts: Tensor, rng: random.Random) -> _Cells:
    """All cells near a centre, and a draw of the others, which then count for all of those."""
    near = (target > 0.01).any(0).flatten()
    far = (~near).nonzero()[:, 0]
    drawn = far[torch.tensor(rng.sample(range(len(far)), min(_FAR, len(far))))]
    index = torch.cat([near.nonzero()[:, 0], drawn])
    weight = torch.ones(len(index))
    weight[len(index) - len(drawn) :] = len(far) / len(drawn)
    return _Cells(values.flatten(1)[:, index].T, target.flatten(1)[:, index].T, weight[:, None] * counts)


@torch.no_grad()
def _look(vision: CenterNet, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Frames -> what the class head's last layer reads [n, 128, 128, 128], and boxes [n, 4, 128, 128]."""
    tapped: list[Tensor] = []
    hook = vision.class_head.depthwise.register_forward_hook(lambda module, given, out: tapped.append(out))
    try:
        with autocast(pixels.device):
            found = vision(pixels.contiguous(memory_format=torch.channels_last))
    finally:
        hook.remove()
    return tapped[0].float(), cell_boxes(found["ltrb"].float())


def heat(frame: Frame, labels: range) -> tuple[Tensor, Tensor]:
    """Targets float32[labels, 128, 128]: 1 at the centre of a box, falling off as a Gaussian; and which count [labels]."""
    target = torch.zeros(len(labels), _SIDE, _SIDE)
    cells = torch.arange(_SIDE)
    for label, (x1, y1, x2, y2) in zip(frame.labels, frame.boxes().tolist(), strict=True):
        if label not in labels:
            continue
        near = []
        for low, high in ((y1, y2), (x1, x2)):
            spread = max((high - low) / 4 * _SPREAD, 0.5)
            near.append(torch.exp(-((cells - _cell(low, high)).square() / (2 * spread**2))))
        target[label - labels.start] = torch.maximum(target[label - labels.start], near[0][:, None] * near[1][None])
    counts = torch.tensor([label in frame.labels or label not in frame.unsure for label in labels])
    return target, counts.float()


def _cell(low: float, high: float) -> int:
    """The cell of a box's centre; a cell's box is measured from its corner."""
    return min(_SIDE - 1, int((low + high) / 2 * _SIDE / FRAME))


def _measure_boxes(frame: Frame, found: Tensor, fits: dict[int, list[float]]) -> None:
    truth = frame.boxes()
    for label, box in zip(frame.labels, torch.from_numpy(truth), strict=True):
        if label in fits:
            at = found[:, _cell(float(box[1]), float(box[3])), _cell(float(box[0]), float(box[2]))]
            fits[label].append(float(box_iou(at, box)))


def _regress(head: SameConv, cells: _Cells) -> None:
    count = cells.target.shape[1]
    mean, std = cells.values.mean(0), cells.values.std(0).clamp(min=1e-4)
    values = (cells.values - mean) / std
    weight = torch.zeros(count, values.shape[1], requires_grad=True)
    bias = torch.full((count,), -4.6, requires_grad=True)
    optimiser = torch.optim.Adam([weight, bias], 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    for _ in range(_STEPS):
        loss = focal_loss(F.linear(values, weight, bias), cells.target, cells.counts) + 1e-3 * weight.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        plain = weight / std
        head.weight[-count:] = plain[:, :, None, None]
        assert head.bias is not None
        head.bias[-count:] = bias - plain @ mean


def focal_loss(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """CenterNet's loss of logits against Gaussians, cells [m, names] weighted by `counts`, divided by the number of centres."""
    p, centre = logits.sigmoid(), target == 1
    there = -F.logsigmoid(logits) * (1 - p).square() * centre
    elsewhere = -F.logsigmoid(-logits) * p.square() * (1 - target).pow(4) * ~centre
    return ((there + elsewhere) * counts).sum() / centre.sum().clamp(min=1)
