"""The command that trains from base parts."""

import sys

import pytest

from segue_training.train.recipe import main


def test_the_model_to_start_from_is_not_overwritten(tmp_path, monkeypatch):
    start = tmp_path / "model.safetensors"
    start.write_bytes(b"weights")
    monkeypatch.setattr(sys, "argv", ["train", "--coco", str(tmp_path), "--start", str(start), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="name another folder with --out"):
        main()
    assert start.read_bytes() == b"weights"
