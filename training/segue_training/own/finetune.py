"""Fine-tunes the trained model on own pictures, own categories and own questions.

    segue-finetune --data DIR --out DIR

DIR holds annotations.json (COCO), images/ and questions.jsonl; docs/guides/train-your-own.md describes them. The data are
checked as a whole first. A fifth of the pictures is held out to measure; OUT/model.safetensors is the result.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from segue_training.data.photos import Photo
from segue_training.data.scenes import cache_photos
from segue_training.model.language import smollm2_path
from segue_training.model.segue_model import SegueModel, load_facts, load_model, load_names, save_model
from segue_training.model.tokenization import gguf_tokenizer
from segue_training.places import WEIGHTS
from segue_training.train.decoder import train_decoder
from segue_training.train.refiner import train_refiner
from segue_training.train.stage import StageOptions, go_half_way

from .evaluation import Kept, measure, table
from .folder import OwnData, hold_out, read_own_data
from .language import finetune_language
from .names import add_names
from .problems import DataError
from .rehearsal import self_annotated
from .train_names import train_channels, train_queries

_CHANNELS, _DECODER, _REFINER = 0.12, 0.18, 0.06
"""Shares of the training time; what is left is the language model's."""
_BOXES_FIT = 0.5
_FEWEST_S = 60.0
_ALL = 10_000
"""More steps than the time allows: the clock ends every part."""


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    clock = Clock(options.minutes * 60)
    if options.base.exists() and (options.out / "model.safetensors").resolve() == options.base.resolve():
        sys.exit(f"{options.base} would be replaced by what comes out of it: name another folder with --out")
    try:
        data = check(options.data, options.base)
    except (DataError, FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    for problem in data.warnings:
        print(problem)
    training, held_out = hold_out(data.photos)
    print(
        f"{options.data}: {len(training)} pictures to train on, {len(held_out)} to measure; {len(data.questions)} questions; "
        f"new names: {', '.join(data.new) or 'none'}"
    )
    if options.check:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    clock.say("Measuring the model as it is")
    started = time.monotonic()
    model, kept = load_model(options.base), Kept()
    before = measure(model, data, held_out, kept, base=True)
    # The same again at the end, where more masks are drawn.
    left = clock.left() - 3 * (time.monotonic() - started)
    if left < _FEWEST_S:
        sys.exit(f"Of {options.minutes:g} minutes {max(0.0, left):.0f} s are left to train in. Ask for more with --minutes.")
    facts = finetune(model, data, training, left, options.out, options.seed, clock)
    path, base = options.out / "model.safetensors", load_facts(options.base)
    # The base's figures and scores do not hold for what comes out.
    kept_facts = {name: base[name] for name in ("calibration", "outliers") if name in base}
    save_model(model, path, {**kept_facts, "own": facts})
    clock.say("Measuring what was written")
    model = load_model(path)
    facts |= {"before": before, "after": measure(model, data, held_out, kept, base=False), "seconds": round(clock.spent())}
    save_model(model, path, {**kept_facts, "own": facts})
    (options.out / "evaluation.json").write_text(json.dumps(facts, indent=1))
    print(f"\n{table(before, facts['after'])}\n\n{path} written after {clock.spent() / 60:.1f} minutes.")


def check(folder: Path, base: Path) -> OwnData:
    """Reads own data for a base model. Raises DataError; FileNotFoundError or ValueError for the base."""
    if not base.exists():
        raise FileNotFoundError(
            f"There is no base model {base}. Name one with --base; the repository has training/weights/segue-smol.safetensors."
        )
    return read_own_data(folder, load_names(base), gguf_tokenizer(smollm2_path()))


def finetune(model: SegueModel, data: OwnData, photos: list[Photo], seconds: float, out: Path, seed: int, clock: Clock) -> dict:
    """Trains in place for about `seconds`; returns facts for the model card.

    OUT/log.jsonl gets the figures of the training.
    """
    end = time.monotonic() + seconds
    facts: dict = {
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
    limits = {"warmup": 5, "ema": 0.9, "keep": False}
    options = StageOptions("decoder", _ALL, **limits, limit_s=_DECODER * seconds)
    train_decoder(model.vision, model.decoder, photos, out, options, seed, 1e-4, batch=3)
    options = StageOptions("refiner", _ALL, **limits, limit_s=_REFINER * seconds)
    train_refiner(model.vision, model.decoder, photos, out, options, seed, 1e-4, batch=3, fresh=False)
    model.decoder.requires_grad_(False)
    go_half_way(model.decoder, known)
    clock.say("Fine-tuning the language model")
    cached, mine = cache_photos(model, photos), {photo.id for photo in photos}
    questions = [own for own in data.questions if own.photo.id in mine]
    finetune_language(model, cached, questions, data.kinds, out, max(1.0, end - time.monotonic()), _ALL, seed)
    return facts


class Clock:
    """Says what is being done, and how much of the allowed time is left."""

    def __init__(self, allowed_s: float):
        self.started, self.allowed_s = time.monotonic(), allowed_s

    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def left(self) -> float:
        """Seconds that are left."""
        return self.allowed_s - self.spent()

    def say(self, text: str) -> None:
        """Prints a line with the time since the start."""
        print(f"[{int(self.spent()) // 60}:{int(self.spent()) % 60:02}] {text}", flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="segue-finetune", description="Fine-tunes the model on own pictures and questions.")
    parser.add_argument("--data", type=Path, required=True, help="folder with annotations.json, images/ and questions.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors, evaluation.json and log.jsonl")
    parser.add_argument("--base", type=Path, default=WEIGHTS, help="model to start from (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="time for everything, measuring included (default: %(default)g)"
    )
    parser.add_argument("--check", action="store_true", help="check the data and end")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
