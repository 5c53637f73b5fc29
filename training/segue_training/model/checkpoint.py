"""What a model's file says of itself, read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

Facts = dict[str, Any]
"""What a saved model says of its training and quality: a JSON object."""


def load_facts(path: Path) -> Facts:
    """The figures and options saved beside the weights.

    Raises ValueError when the file was not written by `save_model`.
    """
    return read_metadata(path, "facts")


def load_names(path: Path) -> tuple[str, ...]:
    """The names that a saved model has. Raises ValueError as `load_facts` does."""
    return tuple(read_metadata(path, "config")["names"])


def read_metadata(path: Path, key: str) -> dict[str, Any]:
    """An entry of the file's header. Raises ValueError as `load_facts` does."""
    try:
        with safe_open(path, "numpy") as file:
            found = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    if key not in found:
        raise ValueError(f"{path} holds no `{key}`: it was not written by this project's training")
    content: dict[str, Any] = json.loads(found[key])
    return content
