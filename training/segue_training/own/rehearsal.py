"""What the model knew before: things it is sure of in the user's pictures, annotated by itself.

The user's pictures are annotated for the user's categories only. Training on these alone would unlearn the others, so that
what the base model finds there is kept as if someone had outlined it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from pycocotools import mask as rle

from segue_training.data.photos import Instance, Photo
from segue_training.model.codes import prompt_codes
from segue_training.model.config import RELATIONS
from segue_training.model.frame import letterbox
from segue_training.model.geometry import resize_bilinear
from segue_training.model.segue_model import SegueModel

_SURE, _WELL_DRAWN, _AT_MOST = 0.45, 0.8, 5
_SAME_PLACE = 0.3  # IoU from which a find and an annotation are the same thing


@torch.no_grad()
def self_annotated(model: SegueModel, photo: Photo) -> Photo:
    """A copy of the photo with further instances: single things of classes that nobody looked for, negative ids."""
    frame, resized = letterbox(photo.pixels)
    features = model.encode(frame[None].contiguous(memory_format=torch.channels_last))
    objects = model.summary(features).objects[0]
    sure = [label for label in sorted(photo.unsure) if objects[label, 0].sigmoid() > _SURE and objects[label, 5] == 1]
    labels = torch.tensor(sorted(sure, key=lambda label: -float(objects[label, 0]))[:_AT_MOST], dtype=torch.long)
    if len(labels) == 0:
        return dataclasses.replace(photo)
    prompts = prompt_codes(model.decoder_config, labels, torch.full_like(labels, RELATIONS.index("one")))
    drawn, signals = model.decoder.answer(features, prompts, torch.tensor(resized))
    masks = (resize_bilinear(drawn, photo.height, photo.width, torch.tensor(resized)) > 0).to(torch.uint8).numpy()
    found: list[Instance] = []
    for label, mask, predicted in zip(labels.tolist(), masks, signals[:, 1].sigmoid().tolist(), strict=True):
        if predicted >= _WELL_DRAWN and mask.any() and not _marked_already(photo, mask):
            found.append(_instance(-1 - len(found), label, mask))
    known = photo.unsure - {thing.label for thing in found}
    return dataclasses.replace(photo, instances=[*photo.instances, *found], unsure=known)


def _marked_already(photo: Photo, mask: np.ndarray) -> bool:
    for thing in photo.instances:
        other = thing.mask()
        if (mask & other).sum() > _SAME_PLACE * (mask | other).sum():
            return True
    return False


def _instance(number: int, label: int, mask: np.ndarray) -> Instance:
    encoded = rle.encode(np.asfortranarray(mask))
    x, y, width, height = rle.toBbox(encoded).tolist()
    return Instance(number, label, encoded, float(mask.mean()), (x, y, x + width, y + height), False)
