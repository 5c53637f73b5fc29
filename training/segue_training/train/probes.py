"""Typical inputs of the language model, from training photos: what quantisation is fitted to."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from segue_training.data.bank import load_follow_ups, load_things
from segue_training.data.photos import Photo
from segue_training.data.questions import QuestionMaker
from segue_training.data.scenes import cache_photos, real_scene
from segue_training.model.segue_model import SegueModel


@torch.inference_mode()
def photo_prompts(model: SegueModel, photos: list[Photo], per_photo: int = 4, seed: int = 0) -> Iterator[Tensor]:
    """Training questions about photos with their answers, as embeddings float32[1, S, H]."""
    things = load_things()
    maker, rng = QuestionMaker(things, load_follow_ups(things)), random.Random(seed)
    for cached in cache_photos(model, photos):
        summary = cached.summaries[0]
        scene = real_scene(cached.photo, summary, {})
        if not scene.present:
            continue
        picture = model.projector(summary)
        before = model.language.embed(torch.tensor([model.tokenizer.picture_ids(0)]))
        for _ in range(per_photo):
            question = maker.draw(scene, rng)
            ids = model.tokenizer.question_ids(question.text, question.history) + model.tokenizer.encode(question.answer)
            yield torch.cat([before, picture, model.language.embed(torch.tensor([ids]))], 1)
