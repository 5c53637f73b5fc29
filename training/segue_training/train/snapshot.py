"""Writes a model of where a running stage is, to measure it while the training goes on.

    python -m segue_training.train.snapshot --run OUT --stage joint --out FILE

OUT is the folder of a training with `--start`; what is written holds the stage's averaged weights and is not calibrated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from segue_training.model.checkpoint import load_facts
from segue_training.model.segue_model import load_model, save_model

from .recipe import START


def snapshot(run: Path, stage: str, out: Path) -> int:
    """Returns the number of steps that the stage has taken."""
    state = torch.load(run / f"{stage}.pt", weights_only=True)
    model = load_model(run / START)
    parameters = dict(model.named_parameters())
    for name, value in state["average"].items():
        parameters[name].data.copy_(value)
    save_model(model, out, load_facts(run / START) | {"snapshot": {"stage": stage, "steps": state["step"]}})
    return state["step"]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.train.snapshot", description="Writes a model of where a running stage is."
    )
    parser.add_argument("--run", type=Path, required=True, help="folder of the training")
    parser.add_argument("--stage", default="joint", help="the stage's name")
    parser.add_argument("--out", type=Path, required=True, help="file of the model")
    options = parser.parse_args()
    print(f"{options.out}: {options.stage} after {snapshot(options.run, options.stage, options.out)} steps")


if __name__ == "__main__":
    main()
