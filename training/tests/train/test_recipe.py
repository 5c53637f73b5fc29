"""The command that trains from base parts."""

import sys
from pathlib import Path

import pytest

from segue_training.model.checkpoint import load_facts
from segue_training.train.recipe import main


def test_the_model_to_start_from_is_not_overwritten(tmp_path, monkeypatch):
    start = tmp_path / "model.safetensors"
    start.write_bytes(b"weights")
    monkeypatch.setattr(sys, "argv", ["train", "--coco", str(tmp_path), "--start", str(start), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="name another folder with --out"):
        main()
    assert start.read_bytes() == b"weights"


def test_the_shipped_weights_tell_nothing_of_the_machine_that_trained_them():
    weights = Path(__file__).parents[2] / "weights/segue-smol.safetensors"
    options = load_facts(weights)["options"]
    assert options["joint_steps"] == "320"
    assert not any("/" in value for value in options.values())
