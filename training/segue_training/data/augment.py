"""Augmented frames for the mask decoder: scale, crop, flip, colour, blur, copy-paste."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segue_training.model.config import VisionConfig

from .photos import Photo

_FRAME, _FILL = VisionConfig().frame, VisionConfig().fill


@dataclass
class Frame:
    """A training picture in frame coordinates."""

    pixels: np.ndarray  # uint8[512, 512, 3]
    masks: np.ndarray  # uint8[m, 512, 512]
    labels: list[int]
    unsure: set[int] = field(default_factory=set)
    """Classes that may be here without a mask of their own: crowds, things cut off or too small, and what nobody looked for."""

    def boxes(self) -> np.ndarray:
        """float32[m, 4] tight boxes of the masks (x1, y1, x2, y2)."""
        boxes = np.zeros((len(self.masks), 4), np.float32)
        for i, mask in enumerate(self.masks):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return boxes

    def tensor(self) -> Tensor:
        """float32[3, 512, 512] RGB 0..255."""
        return torch.from_numpy(self.pixels).permute(2, 0, 1).float()


def augmented_batch(photos: list[Photo], rng: random.Random) -> list[Frame]:
    """Independent random views of photos, some with a thing pasted in from another one."""
    frames = [_random_frame(photo, rng) for photo in photos]
    for index, frame in enumerate(frames):
        if len(frames) > 1 and rng.random() < 0.4:
            _copy_paste(frame, frames[rng.choice([i for i in range(len(frames)) if i != index])], rng)
        _drop_tiny(frame)
    return frames


def labelled_batch(photos: list[Photo], count: int, rng: random.Random) -> list[Frame]:
    """As `augmented_batch` of `count` drawn photos, without the views that show nothing annotated; at least one."""
    while True:
        drawn = augmented_batch(rng.sample(photos, min(count, len(photos))), rng)
        if frames := [frame for frame in drawn if frame.labels]:
            return frames


def _random_frame(photo: Photo, rng: random.Random) -> Frame:
    height, width = photo.height, photo.width
    scale, left, top = _FRAME / max(height, width), 0.0, 0.0
    if rng.random() < 0.75:
        low, high = (0.8, 1.3) if rng.random() < 0.5 else (0.5, 2.0)
        scale *= low * (high / low) ** rng.random()
        # A picture larger than the frame is cropped, a smaller one lies anywhere in it.
        left, top = (rng.uniform(min(0.0, _FRAME - side * scale), max(0.0, _FRAME - side * scale)) for side in (width, height))
    x1, y1 = max(0.0, -left / scale), max(0.0, -top / scale)
    x2, y2 = min(width, (_FRAME - left) / scale), min(height, (_FRAME - top) / scale)
    at_x, at_y = round(max(0.0, left)), round(max(0.0, top))
    size = min(_FRAME - at_x, round((x2 - x1) * scale)), min(_FRAME - at_y, round((y2 - y1) * scale))

    def crop(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR, box=(x1, y1, x2, y2)))

    pixels = np.empty((_FRAME, _FRAME, 3), np.uint8)
    pixels[:] = _FILL
    region = np.s_[at_y : at_y + size[1], at_x : at_x + size[0]]
    pixels[region] = _colour(_blur(crop(photo.pixels), rng), rng)
    things = [i for i in photo.instances if not i.crowd and i.box[0] < x2 and i.box[2] > x1 and i.box[1] < y2 and i.box[3] > y1]
    masks = np.zeros((len(things), _FRAME, _FRAME), np.uint8)
    for mask, thing in zip(masks, things, strict=True):
        mask[region] = crop(thing.mask() * 255) > 127
    if rng.random() < 0.5:
        pixels, masks = pixels[:, ::-1].copy(), masks[:, :, ::-1].copy()
    unsure = {thing.label for thing in photo.instances if thing.crowd or thing not in things} | photo.unsure
    return Frame(pixels, masks, [thing.label for thing in things], unsure)


def worse(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    """The picture uint8[h, w, 3] with fewer details and other colours."""
    return _colour(_coarse(pixels, rng.uniform(0.3, 0.6) * min(1.0, _FRAME / max(pixels.shape))), rng)


def _blur(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    return pixels if rng.random() > 0.25 else _coarse(pixels, rng.uniform(0.35, 0.8))


def _coarse(pixels: np.ndarray, factor: float) -> np.ndarray:
    image = Image.fromarray(pixels)
    small = image.resize((max(8, int(image.width * factor)), max(8, int(image.height * factor))), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.size, Image.Resampling.BILINEAR))


def _colour(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    gain = np.array([rng.uniform(0.9, 1.1) for _ in range(3)]) * rng.uniform(0.75, 1.25)
    values = (pixels.astype(np.float32) - 110) * rng.uniform(0.8, 1.2) + 110
    return np.clip(values * gain.astype(np.float32), 0, 255).astype(np.uint8)


def _copy_paste(frame: Frame, donor: Frame, rng: random.Random) -> None:
    areas = donor.masks.reshape(-1, _FRAME * _FRAME).mean(1)
    fitting = [i for i, area in enumerate(areas) if 0.005 < area < 0.25]
    if not fitting:
        return
    chosen = rng.choice(fitting)
    rows, columns = (np.flatnonzero(donor.masks[chosen].any(axis)) for axis in (1, 0))
    down = rng.randint(-int(rows[0]), _FRAME - 1 - int(rows[-1]))
    right = rng.randint(-int(columns[0]), _FRAME - 1 - int(columns[-1]))
    mask = np.roll(donor.masks[chosen], (down, right), (0, 1))
    frame.pixels[mask > 0] = np.roll(donor.pixels, (down, right), (0, 1))[mask > 0]
    frame.masks[:, mask > 0] = 0
    frame.masks = np.concatenate([frame.masks, mask[None]])
    frame.labels.append(donor.labels[chosen])


def _drop_tiny(frame: Frame, pixels: int = 60) -> None:
    kept = [i for i, mask in enumerate(frame.masks) if int(mask.sum()) >= pixels]
    frame.unsure |= {label for i, label in enumerate(frame.labels) if i not in kept}
    frame.masks, frame.labels = frame.masks[kept], [frame.labels[i] for i in kept]
