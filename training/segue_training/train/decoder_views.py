"""What the mask decoder is shown in a training step: views around things, and whole questions with all their peaks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.data.augment import Frame
from segue_training.model.geometry import FRAME, box_iou, cell_boxes, sample, view_grid, view_of
from segue_training.model.mask_decoder import Features

NOTHING = -1


@dataclass
class Views:
    """Views of one frame that ask for one class each (or for any thing: `NOTHING`, a null prompt)."""

    label: Tensor  # int64[m]
    boxes: Tensor  # [m, 4]
    thing: Tensor  # int64[m] index into the frame's masks; NOTHING where nothing of the class is
    draws: Tensor  # bool[m]: whether the mask is to be learnt, or only that it is a bad one


def things_in_view(frame: Frame, feature: Features, count: int, rng: random.Random) -> Views:
    """Views around annotated things: the detector's own box where it fits, else a jittered true one."""
    truth = torch.from_numpy(frame.boxes())
    areas = frame.masks.reshape(-1, FRAME * FRAME).mean(1)
    number = {label: frame.labels.count(label) for label in frame.labels}
    odds = [min(1.0, area / 0.005) ** 0.7 / number[label] ** 0.5 for area, label in zip(areas, frame.labels, strict=True)]
    labels, boxes, things = [], [], []
    for _ in range(count if frame.labels else 0):
        index = rng.choices(range(len(odds)), odds)[0]
        found = _detector_boxes(feature, frame.labels[index]) if rng.random() < 0.6 else truth[:0]
        fitting = found[box_iou(found, truth[index]) > 0.4]
        boxes.append(fitting[rng.randrange(len(fitting))] if len(fitting) else _jitter(truth[index], rng))
        labels.append(NOTHING if rng.random() < 0.09 else frame.labels[index])
        things.append(index)
    stacked = (torch.stack(boxes) if boxes else truth[:0]).to(feature["ltrb"].device)
    return Views(
        torch.tensor(labels, dtype=torch.long),
        stacked,
        torch.tensor(things, dtype=torch.long),
        torch.ones(len(labels), dtype=torch.bool),
    )


def classes_to_ask(frame: Frame, feature: Features, rng: random.Random) -> list[int]:
    """One class that is there and, every second time, one that the detector wrongly believes in."""
    present = sorted(set(frame.labels) - frame.unsure)
    strongest = feature["heatmap"].amax((0, 2, 3)).topk(12).indices.tolist()
    absent = [label for label in strongest if label not in frame.labels and label not in frame.unsure]
    asked = [rng.choice(present)] if present else []
    return asked + ([rng.choice(absent)] if absent and (not present or rng.random() < 0.5) else [])


def peaks_in_view(frame: Frame, label: int, boxes: Tensor) -> Views:
    """All peaks of a question: each gets the thing of the class that its box overlaps most, if it does so at all."""
    same = [i for i, other in enumerate(frame.labels) if other == label]
    thing, draws = torch.full((len(boxes),), NOTHING), torch.zeros(len(boxes), dtype=torch.bool)
    if same:
        overlap, best = box_iou(torch.from_numpy(frame.boxes())[same][None], boxes.cpu()[:, None]).max(1)
        thing = torch.where(overlap > 0.05, torch.tensor(same)[best], thing)
        draws = overlap > 0.4
    return Views(torch.full((len(boxes),), label), boxes, thing, draws)


def targets(frame: Frame, views: Views, size: int) -> tuple[Tensor, Tensor]:
    """Masks in the views [m, size, size] (soft edges), and the mask area outside each view in view cells [m]."""
    blank = torch.zeros(FRAME, FRAME)
    masks = torch.stack([torch.from_numpy(frame.masks[i]).float() if i >= 0 else blank for i in views.thing.tolist()])
    masks = masks.to(views.boxes.device)
    target = sample(masks[:, None], view_grid(views.boxes, size)[:, None])[:, 0, 0]
    cell = (view_of(views.boxes)[1] / size).prod(-1)  # pixels a cell covers
    outside = (masks.sum((1, 2)) / cell - target.sum((1, 2))).clamp(min=0.0)
    return target, outside


def blur_evidence(feature: Features, rng: random.Random) -> Features:
    """The frame as a less certain detector would see it: it knows the training photos too well.

    Each class's logits are shifted as a whole and by a smooth field; now and then a class loses its strongest peak.
    """
    heatmap = feature["heatmap"]
    classes, side = heatmap.shape[1], heatmap.shape[-1]
    field = torch.randn(1, classes, 8, 8, device=heatmap.device) * 0.4
    heatmap = (
        heatmap
        + F.interpolate(field, size=(side, side), mode="bilinear")
        + torch.randn(1, classes, 1, 1, device=heatmap.device) * 0.3
    )
    for label in rng.sample(range(classes), classes // 8):
        y, x = divmod(int(heatmap[0, label].argmax()), side)
        heatmap[0, label, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] -= 3.0
    return {**feature, "heatmap": heatmap}


def _detector_boxes(feature: Features, label: int, count: int = 6) -> Tensor:
    """Boxes [k, 4] of the detector's own strongest peaks of a class, on the CPU."""
    evidence = feature["heatmap"][:, label].sigmoid()
    kept = evidence * (evidence >= F.max_pool2d(evidence, 3, 1, 1))
    cells = kept.flatten().topk(count).indices
    return cell_boxes(feature["ltrb"])[0].flatten(1)[:, cells].T.cpu()


def _jitter(box: Tensor, rng: random.Random) -> Tensor:
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    x = float(box[0] + box[2]) / 2 + rng.gauss(0, 0.07) * width
    y = float(box[1] + box[3]) / 2 + rng.gauss(0, 0.07) * height
    width, height = width * math.exp(rng.gauss(0, 0.13)), height * math.exp(rng.gauss(0, 0.13))
    return torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2]).clamp(0, FRAME)
