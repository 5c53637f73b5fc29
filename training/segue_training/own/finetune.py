"""The fine-tuning of a trained model: detector, mask decoder, then language, within a given time."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

from segue_training.data.photos import Photo
from segue_training.data.scenes import cache_photos
from segue_training.model.checkpoint import Facts, load_facts
from segue_training.model.segue_model import SegueModel, load_model, save_model
from segue_training.train.decoder import train_decoder
from segue_training.train.refiner import train_refiner
from segue_training.train.stage import StageOptions, go_half_way

from .clock import Clock
from .evaluation import Kept, measure, table
from .folder import OwnData
from .language import finetune_language
from .names import add_names
from .rehearsal import self_annotated
from .train_names import train_channels, train_queries

_CHANNELS, _DECODER, _REFINER = 0.12, 0.18, 0.06
"""Shares of the training time; what is left is the language model's."""
_BOXES_FIT = 0.5
_FEWEST_S = 60.0
_ALL = 10_000
"""More steps than the time allows: the clock ends every part."""


def train(data: OwnData, training: list[Photo], held_out: list[Photo], base: Path, out: Path, seed: int, clock: Clock) -> None:
    """Fine-tunes the model of the file `base` and writes OUT/model.safetensors, with figures of before and after.

    Ends the process with a message when too little time is left after measuring.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    clock.say("Measuring the model as it is")
    started = time.monotonic()
    model, kept = load_model(base), Kept()
    before = measure(model, data, held_out, kept, base=True)
    # The same again at the end, where more masks are drawn.
    left = clock.left() - 3 * (time.monotonic() - started)
    if left < _FEWEST_S:
        sys.exit(f"Of {clock.allowed_s / 60:g} minutes {max(0.0, left):.0f} s are left to train in. Ask for more with --minutes.")
    facts = finetune(model, data, training, left, out, seed, clock)
    path, known = out / "model.safetensors", load_facts(base)
    # The base's figures and scores do not hold for what comes out.
    kept_facts: Facts = {name: known[name] for name in ("calibration", "outliers") if name in known}
    save_model(model, path, {**kept_facts, "own": facts})
    clock.say("Measuring what was written")
    model = load_model(path)
    facts |= {"before": before, "after": measure(model, data, held_out, kept, base=False), "seconds": round(clock.spent())}
    save_model(model, path, {**kept_facts, "own": facts})
    (out / "evaluation.json").write_text(json.dumps(facts, indent=1))
    print(f"\n{table(before, facts['after'])}\n\n{path} written after {clock.spent() / 60:.1f} minutes.")


def finetune(model: SegueModel, data: OwnData, photos: list[Photo], seconds: float, out: Path, seed: int, clock: Clock) -> Facts:
    """Trains in place for about `seconds`; returns facts for the model card.

    OUT/log.jsonl gets the figures of the training.
    """
    end = time.monotonic() + seconds
    facts: Facts = {
        "categories": [data.names[label] for label in data.labels],
        "new": list(data.new),
        "pictures": len(data.photos),
        "questions": len(data.questions),
    }
    if data.new:
        clock.say(f"Teaching the detector {', '.join(data.new)}")
        add_names(model, data.new)
        train_queries(model.decoder, len(data.new))
        facts["box_iou"] = train_channels(model, photos, len(data.new), seed, limit_s=_CHANNELS * seconds)
        for name, fit in facts["box_iou"].items():
            if fit < _BOXES_FIT:
                print(f"The detector's boxes fit {name!r} badly (mean IoU {fit:.2f}): expect cut-off or loose masks.")
    photos = [self_annotated(model, photo) for photo in photos]
    clock.say("Fine-tuning the mask decoder")
    known = {name: value.detach().clone() for name, value in model.decoder.named_parameters()}
    tuned = model.decoder.view
    model.decoder.requires_grad_(False)
    tuned.requires_grad_(True)
    options = StageOptions("decoder", _ALL, warmup=5, ema=0.9, keep=False, limit_s=_DECODER * seconds)
    train_decoder(model.vision, model.decoder, photos, out, options, seed, 1e-4, batch=3)
    options = dataclasses.replace(options, name="refiner", limit_s=_REFINER * seconds)
    train_refiner(model.vision, model.decoder, photos, out, options, seed, 1e-4, batch=3, fresh=False)
    model.decoder.requires_grad_(False)
    go_half_way(model.decoder, known)
    clock.say("Fine-tuning the language model")
    cached, mine = cache_photos(model, photos), {photo.id for photo in photos}
    questions = [own for own in data.questions if own.photo.id in mine]
    finetune_language(model, cached, questions, data.kinds, out, max(1.0, end - time.monotonic()), _ALL, seed)
    return facts
