"""Fine-tunes the trained model on own pictures, own categories and own questions.

    segue-finetune --data DIR --out DIR

DIR holds annotations.json (COCO), images/ and questions.jsonl; docs/guides/train-your-own.md describes them. The data are
checked as a whole first. A fifth of the pictures is held out to measure; OUT/model.safetensors is the result.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from segue_training.model.checkpoint import load_names
from segue_training.model.gguf_fields import smollm2_path
from segue_training.model.tokenization import gguf_tokenizer
from segue_training.places import WEIGHTS

from .clock import Clock
from .folder import OwnData, hold_out, read_own_data
from .problems import DataError


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
    # Imported late: a check does without PyTorch, which takes seconds to load.
    from .finetune import train

    train(data, training, held_out, options.base, options.out, options.seed, clock)


def check(folder: Path, base: Path) -> OwnData:
    """Reads own data for a base model. Raises DataError; FileNotFoundError or ValueError for the base."""
    if not base.exists():
        raise FileNotFoundError(
            f"There is no base model {base}. Name one with --base; the repository has training/weights/segue-smol.safetensors."
        )
    return read_own_data(folder, load_names(base), gguf_tokenizer(smollm2_path()))


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
