"""The card beside the shipped bundle is the one that is made of its manifest and notes."""

import json
from pathlib import Path

from segue_training.bundle.export import save_manifest

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "segue-smol"


def test_the_shipped_card_is_up_to_date(tmp_path):
    save_manifest(tmp_path, json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8")))
    for name in ("README.md", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (SHIPPED / name).read_bytes()
