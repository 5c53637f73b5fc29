"""Trains the model: mask decoder, its refiner, then language on simulated pictures and on photos.

    python -m segue_training.train --coco DIR --vision-base DIR --out DIR
    python -m segue_training.train --coco DIR --start FILE --out DIR

The second form trains only the language parts of a trained model further; DIR must be another than that model's.
`--vision-base` is the folder `models/` of the npm package @vladmandic/human 3.3.6 (it holds
centernet.json and centernet.bin). Every stage writes OUT/<stage>.pt every two minutes and goes on from
there when the command is started again; OUT/log.jsonl collects the figures, OUT/model.safetensors is the result.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import torch

from segue_training.bundle.outliers import find_outliers
from segue_training.data.bank import load_things
from segue_training.data.photos import Photo, load_coco, split
from segue_training.data.scenes import cache_photos
from segue_training.evaluate.checkpoint import evaluate
from segue_training.evaluate.figures import ClassTable, FigureTable
from segue_training.model.checkpoint import Facts, load_facts
from segue_training.model.config import RELATIONS, ZERO_SHOT
from segue_training.model.mixed_precision import half_is_faster
from segue_training.model.segue_model import SegueModel, build_model, load_model, save_model

from .calibrate import calibrate
from .calibrate_scores import calibrate_scores
from .decoder import measure_moments, train_decoder
from .language import train_language
from .probes import photo_prompts
from .refiner import train_refiner
from .stage import StageOptions, go_half_way
from .widen import widen_relations

START = "start.safetensors"
"""What a training with `--start` began with, relations added."""
_CALIBRATION_PHOTOS, _PROBED_PHOTOS = 120, 40


def main() -> None:
    options = _options()
    if options.start and (options.out / "model.safetensors").resolve() == options.start.resolve():
        sys.exit(f"{options.start} would be replaced by what comes out of it: name another folder with --out")
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    photos, held_out = split(load_coco(options.coco))
    categories = _categories(options.coco)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Where it is fast, the frozen language weights are stored in half the size: they come from 4-bit values anyway.
    frozen = torch.bfloat16 if half_is_faster(device.type) else torch.float32
    if options.start:
        model = _start(options, frozen).to(device)
    else:
        model = build_model(options.vision_base, frozen).to(device)
        _train_masks(model, photos, options)
    cached = cache_photos(model, photos, worse_too=True)
    things = load_things(model.names, held_out=ZERO_SHOT if options.zero_shot else ())
    stages = (("language", options.language_steps, 0.0), ("joint", options.joint_steps, 0.5))
    for name, steps, real_share in stages:
        train_language(model, cached, things, categories, options.out, name, steps, real_share, options.seed)
    facts = {"options": _used(options)}
    save_model(model, options.out / "model.safetensors", facts)
    figures = finish(options.out / "model.safetensors", photos, held_out, facts, options.seed)
    (options.out / "evaluation.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures["model"], indent=1))


def _start(options: argparse.Namespace, frozen: torch.dtype) -> SegueModel:
    """The model to go on from, with all relations; what was changed for that is kept, as a run that goes on needs the same."""
    widened = options.out / START
    if widened.exists():
        return load_model(widened, frozen)
    model = load_model(options.start, frozen)
    if model.decoder_config.relations != RELATIONS:
        known = len(model.decoder_config.relations)
        print(f"relations beyond the {known} of {options.start}: {widen_relations(model)} of prompts read rightly")
    save_model(model, widened, load_facts(options.start))
    return model


def _train_masks(model: SegueModel, photos: list[Photo], options: argparse.Namespace) -> None:
    """The mask decoder, twice, and its second look."""
    measure_moments(model.vision, model.decoder, photos[::6])
    train_decoder(model.vision, model.decoder, photos, options.out, StageOptions("decoder", options.decoder_steps), options.seed)
    before = {name: value.detach().clone() for name, value in model.decoder.named_parameters()}
    again = StageOptions("decoder_again", options.decoder_again_steps)
    train_decoder(model.vision, model.decoder, photos, options.out, again, options.seed, rate=5e-4)
    go_half_way(model.decoder, before)
    train_refiner(model.vision, model.decoder, photos, options.out, StageOptions("refiner", options.refiner_steps), options.seed)
    model.copy_moments()


def finish(
    path: Path, photos: list[Photo], held_out: list[Photo], facts: Facts, seed: int = 0
) -> dict[str, FigureTable | ClassTable]:
    """Calibrates and measures the trained model in `path` and writes what was found beside its weights; returns the figures."""
    # Loaded afresh: on the CPU, in float32 and without the layers compiled for training's row length.
    model = load_model(path)
    sample = random.Random(seed).sample(photos, min(_CALIBRATION_PHOTOS, len(photos)))
    facts["calibration"] = calibrate(model, sample)
    outliers = find_outliers(model.language, photo_prompts(model, sample[:_PROBED_PHOTOS]))
    facts["outliers"] = {name: channels.tolist() for name, channels in outliers.items()}
    save_model(model, path, facts)
    figures, answers = evaluate(model, held_out)
    facts["evaluation"] = figures
    if reliability := calibrate_scores(model, answers):
        facts["scores"] = reliability
    save_model(model, path, facts)
    return figures


def _used(options: argparse.Namespace) -> dict[str, str]:
    """The options that had an effect, without the paths of this machine."""
    masks = ("decoder_steps", "decoder_again_steps", "refiner_steps") if options.start else ()
    given = {key: value for key, value in vars(options).items() if value is not None and key not in masks}
    return {key: str(value) for key, value in given.items() if not isinstance(value, Path)}


def _categories(coco: Path) -> list[list[str]]:
    """Category names by super-category: things of one kind can answer the same question."""
    groups: dict[str, list[str]] = {}
    for category in json.loads((coco / "annotations.json").read_text())["categories"]:
        groups.setdefault(category.get("supercategory", category["name"]), []).append(category["name"])
    return list(groups.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.train", description="Trains the model on a folder in COCO format."
    )
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--vision-base", type=Path, help="folder with centernet.json and centernet.bin")
    source.add_argument("--start", type=Path, help="a trained model, to train only its language parts further")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and the model")
    parser.add_argument("--decoder-steps", type=int, default=560)
    parser.add_argument("--decoder-again-steps", type=int, default=900)
    parser.add_argument("--refiner-steps", type=int, default=650)
    parser.add_argument("--language-steps", type=int, default=40)
    parser.add_argument("--joint-steps", type=int, default=800)
    parser.add_argument(
        "--zero-shot", action="store_true", help="no reasoning questions about twelve classes, to measure what is not taught"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()
