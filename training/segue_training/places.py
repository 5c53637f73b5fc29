"""Where the repository keeps what commands read unless told otherwise."""

from __future__ import annotations

from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = _REPOSITORY / "examples"
"""Photos that may be shared."""
WEIGHTS = _REPOSITORY / "training" / "weights" / "segue-smol.safetensors"
"""The trained parts of `models/segue-smol`."""
