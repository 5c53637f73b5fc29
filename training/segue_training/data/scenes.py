"""Pictures as the language model's training sees them: cached summaries, real and simulated scenes."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from segue_training.model.frame import letterbox
from segue_training.model.mixed_precision import autocast
from segue_training.model.projector import Summary
from segue_training.model.segue_model import SegueModel

from .augment import worse
from .bank import Thing
from .photos import Photo
from .scene import Scene

_VISIBLE = 0.002  # share of the photo from which a thing counts as clearly visible
_OTHERS = 60
"""Names that the model does not have, among those that a simulated picture is drawn from."""


@dataclass
class CachedPhoto:
    """What is kept of a photo: its visual summary, that of its mirror image, both again of a worse copy, and its annotations."""

    photo: Photo
    summaries: tuple[Summary, ...]


@dataclass
class Picture:
    """One row's picture: a summary (batch 1), the name embeddings of the detector's channels, the scene."""

    summary: Summary
    names: Tensor  # [classes, hidden]
    scene: Scene


@torch.no_grad()
def cache_photos(model: SegueModel, photos: list[Photo], worse_too: bool = False) -> list[CachedPhoto]:
    """Encodes every photo and its mirror image once.

    worse_too: a worse copy of each as well. The detector knows these photos too well; of a worse copy it is as unsure as of
    others.
    """
    cached = []
    for photo in photos:
        copies = [photo.pixels]
        if worse_too:
            copies.append(worse(photo.pixels, random.Random(photo.id)))
        summaries = []
        for pixels in (side for copy in copies for side in (copy, copy[:, ::-1].copy())):
            frame = letterbox(pixels)[0][None].to(model.device).contiguous(memory_format=torch.channels_last)
            with autocast(model.device):
                features = model.encode(frame)
            summaries.append(model.summary({name: value.float() for name, value in features.items()}))
        cached.append(CachedPhoto(photo, tuple(summaries)))
    return cached


def real_scene(photo: Photo, summary: Summary, kinds: dict[int, set[int]]) -> Scene:
    """The scene of a photo's annotations; a class is absent only where nothing of it is annotated."""
    present: dict[int, int] = {}
    annotated = set(photo.labels)
    by_area = sorted(annotated, key=lambda label: -max(i.area for i in photo.of(label)))
    for label in by_area:
        things = photo.of(label)
        if max(thing.area for thing in things) >= _VISIBLE:
            present[label] = 20 if any(t.crowd for t in things) else sum(t.area >= _VISIBLE / 4 for t in things)
    strength = summary.objects[0, :, 0]
    absent = [label for label in range(len(strength)) if label not in annotated | photo.unsure]
    hinted = sorted(absent, key=lambda label: -float(strength[label]))[:6]
    unclear = sorted((annotated | photo.unsure) - set(present))
    return Scene(present, absent, hinted, kinds, photo.captions, unclear)


def neighbours(things: list[Thing], categories: list[list[str]]) -> dict[int, set[int]]:
    """Thing -> the things that could answer the same question, by lists of names of one kind."""
    index = {thing.name: i for i, thing in enumerate(things)}
    groups = [{index[name] for name in names if name in index} for names in categories]
    return {i: set().union(*(group for group in groups if i in group)) for i in range(len(things))}


class PictureSource:
    """Draws real and simulated pictures."""

    def __init__(self, model: SegueModel, cached: list[CachedPhoto], things: list[Thing], kinds: dict[int, set[int]]):
        self.cached, self.things, self.kinds = cached, things, kinds
        self.classes = len(model.names)
        self.names = model.name_embeddings([thing.name for thing in things])
        self.synonyms = {i: model.name_embeddings(thing.synonyms) for i, thing in enumerate(things) if thing.synonyms}

    def real(self, rng: random.Random) -> Picture:
        """A photo or its mirror image; the detector's confidence is blurred, as it knows these photos too well."""
        source = rng.choice(self.cached)
        summary = rng.choice(source.summaries)
        scene = real_scene(source.photo, summary, self.kinds)
        return Picture(blurred(summary, scene, 0.3, rng), self.names[: self.classes], scene)

    def simulated(self, rng: random.Random) -> Picture:
        """A photo whose classes carry other names; its features are mostly left out, as they would contradict."""
        source = rng.choice(self.cached)
        summary = rng.choice(source.summaries)
        scene = real_scene(source.photo, summary, self.kinds)
        known = [i for i in range(self.classes) if not self.things[i].held_out]
        if rng.random() < 0.5:  # beside held-out ones no reasoning question is asked
            known = list(range(self.classes))
        pool = known + rng.sample(range(self.classes, len(self.things)), self.classes - len(known) + _OTHERS)
        given = rng.sample(pool, self.classes)
        rows = [self._embedding(thing, rng) for thing in given]
        scene = Scene(
            {given[label]: count for label, count in scene.present.items()},
            [given[label] for label in scene.absent] + [i for i in range(len(self.things)) if i not in set(given)],
            [given[label] for label in scene.hinted],
            self.kinds,
            unclear=[given[label] for label in scene.unclear],
        )
        channels = {thing: channel for channel, thing in enumerate(given)}
        # Mostly a picture in which things are clearly there or not: it teaches to look before to doubt.
        summary = _clear(summary, scene, rng, channels) if rng.random() < 0.75 else blurred(summary, scene, 0.4, rng, channels)
        if rng.random() < 0.75:
            summary = summary._replace(pooled=torch.zeros_like(summary.pooled))
        return Picture(summary, torch.stack(rows), scene)

    def _embedding(self, thing: int, rng: random.Random) -> Tensor:
        if thing in self.synonyms and rng.random() < 0.3:
            return self.synonyms[thing][rng.randrange(len(self.synonyms[thing]))]
        return self.names[thing]


def blurred(summary: Summary, scene: Scene, spread: float, rng: random.Random, channels: dict[int, int] | None = None) -> Summary:
    """The summary with a random shift of each class's logits; things that are there lose a little more."""
    shift = torch.tensor([rng.gauss(0, spread) for _ in range(summary.tags.shape[1])])
    for thing in scene.present:
        channel = thing if channels is None else channels[thing]
        shift[channel] -= abs(rng.gauss(0, 0.4))
    return _shifted(summary, shift)


def _clear(summary: Summary, scene: Scene, rng: random.Random, channels: dict[int, int]) -> Summary:
    """The summary with sure detections of what is there and hardly any of what is not."""
    wanted = torch.tensor([rng.gauss(-4.0, 0.7) for _ in range(summary.tags.shape[1])])
    for thing in scene.present:
        wanted[channels[thing]] = rng.gauss(1.0, 1.0)
    return _shifted(summary, wanted - summary.objects[0, :, 0].cpu())


def _shifted(summary: Summary, shift: Tensor) -> Summary:
    """The summary with `shift` [classes] added to the logits of each class."""
    shift = shift.to(summary.tags.device)
    objects = summary.objects.clone()
    objects[0, :, 0] += shift
    return summary._replace(tags=summary.tags + shift[None, :, None, None], objects=objects)
