"""`segue-export smol`: the bundle of a checkpoint that training or fine-tuning here wrote."""

from __future__ import annotations

import argparse
from pathlib import Path

from segue_training.bundle.export import export_bundle
from segue_training.bundle.folder import check_replaceable
from segue_training.bundle.graphs.weights import FLOAT16, FLOAT32, INT4, INT8
from segue_training.model.checkpoint import load_facts
from segue_training.model.segue_model import load_model
from segue_training.own.bundle import golden_questions as own_questions
from segue_training.own.bundle import own_parts
from segue_training.smol.golden_questions import golden_questions
from segue_training.smol.parts import smol_parts


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="segue-export smol", description="Write the bundle of a trained checkpoint.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file that training wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; one that is there is replaced")
    parser.add_argument(
        "--precision", choices=(INT8, INT4, FLOAT16, FLOAT32), default=INT8, help="of the language model's base weights"
    )
    parser.add_argument("--data", type=Path, help="for a fine-tuned checkpoint: its own data, which give the golden questions")
    options = parser.parse_args(arguments)
    export(options)


def export(options: argparse.Namespace) -> None:
    """Raises ValueError when checkpoint, options and folder do not fit together, or the bundle answers otherwise than PyTorch."""
    check_replaceable(options.out)  # before minutes of work
    if options.data is None:
        export_bundle(smol_parts(options.checkpoint, options.out.name), options.out, golden_questions(), options.precision)
    else:
        model, facts = load_model(options.checkpoint), load_facts(options.checkpoint)
        parts = own_parts(model, facts, options.out.name)
        export_bundle(parts, options.out, own_questions(model, options.data), options.precision)
