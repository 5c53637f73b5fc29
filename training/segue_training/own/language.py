"""Fine-tunes the language parts on own questions, mixed with generated ones.

Every step has a row about an own picture (its own questions and generated ones about everything known to be there or not)
and a row about another, which is often a simulated picture: refusing and naming at large must not be forgotten.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from segue_training.data.bank import load_follow_ups, load_things
from segue_training.data.packing import draw_to_fit, pack
from segue_training.data.questions import QuestionMaker
from segue_training.data.scene import Question, Scene
from segue_training.data.scenes import CachedPhoto, Picture, PictureSource, blurred, neighbours, real_scene
from segue_training.model.codes import PromptCodes
from segue_training.model.config import RELATIONS
from segue_training.model.projector import Summary
from segue_training.model.segue_model import SegueModel
from segue_training.train.language import language_losses, visual_of
from segue_training.train.stage import Stage, StageOptions, parameter_groups

from .questions import OwnQuestion

_ROW = 384
_OWN, _SIMULATED = 0.5, 0.5
"""Share of own questions in a row of an own picture, and of simulated pictures among the second rows."""
_UNSEEN = 0.05
"""Detector probability below which a class that nobody looked for counts as absent."""
_SIDED = {RELATIONS.index("left"), RELATIONS.index("right")}


class OwnSource(PictureSource):
    """Draws own pictures, whose scene also tells what the detector sees nothing of."""

    def own(self, source: CachedPhoto, mirrored: bool, rng: random.Random) -> Picture:
        """An own picture; its confidence is blurred, as the new channels were fitted to it."""
        summary = source.summaries[mirrored]
        scene = own_scene(source, summary, self.kinds)
        return Picture(blurred(summary, scene, 0.3, rng), self.names[: self.classes], scene)


def own_scene(source: CachedPhoto, summary: Summary, kinds: dict[int, set[int]]) -> Scene:
    """As `real_scene`; of the classes that nobody looked for, those without any trace are absent too."""
    scene = real_scene(source.photo, summary, kinds)
    seen = summary.objects[0, :, 0].sigmoid()
    marked = set(source.photo.labels)
    scene.absent += [label for label in sorted(source.photo.unsure - marked) if seen[label] < _UNSEEN]
    return scene


def finetune_language(
    model: SegueModel,
    cached: list[CachedPhoto],
    questions: list[OwnQuestion],
    kinds: list[list[str]],
    out: Path,
    limit_s: float,
    steps: int = 10_000,
    seed: int = 0,
) -> None:
    """Trains LoRA, projector, `<SEG>` head and token rows in place, for `limit_s` seconds or `steps`."""
    things = load_things(model.names)
    source = OwnSource(model, cached, things, neighbours(things, kinds))
    maker = QuestionMaker(things, load_follow_ups(things), relations=model.decoder_config.relations)
    asked: dict[int, list[Question]] = defaultdict(list)
    for own in questions:
        asked[own.photo.id].append(own.question)
    model.requires_grad_(False)
    for part in (model.language, model.projector, model.text_hidden_fcs):
        part.requires_grad_(True)
    heads = torch.nn.ModuleList([model.projector, model.text_hidden_fcs])
    groups = parameter_groups([(model.language, 2e-4), (heads, 6e-4)], 0.01)
    stage = Stage(model, groups, StageOptions("language", steps, warmup=5, ema=0.9, limit_s=limit_s, keep=False), out, seed)
    room = _ROW - len(model.tokenizer.picture_ids(model.vision_config.visual_tokens))
    codes = PromptCodes(model.decoder_config)

    def row(rng: random.Random) -> tuple[Picture, list[Question]]:
        chosen = rng.choice(cached)
        mine = asked[chosen.photo.id]
        # A place that the words leave out would be another one in the mirror.
        sided = any(relation in _SIDED for question in mine for _, relation, *_ in question.targets)
        picture = source.own(chosen, not sided and rng.random() < 0.5, rng)
        return picture, draw(picture, rng, mine)

    def draw(picture: Picture, rng: random.Random, mine: list[Question]) -> list[Question]:
        def one() -> Question:
            return rng.choice(mine) if mine and rng.random() < _OWN else maker.draw(picture.scene, rng)

        return draw_to_fit(model.tokenizer, one, room)

    def loss(step: int, rng: random.Random) -> dict[str, Tensor]:
        rows = [row(rng)]
        if rng.random() < _SIMULATED:
            picture = source.simulated(rng)
            rows.append((picture, draw(picture, rng, [])))
        else:
            rows.append(row(rng))
        pictures = [picture for picture, _ in rows]
        packed = pack(model.tokenizer, [questions for _, questions in rows], model.vision_config.visual_tokens, _ROW)
        return language_losses(model, packed, visual_of(model, pictures), codes)

    stage.run(loss)
    model.requires_grad_(False)
