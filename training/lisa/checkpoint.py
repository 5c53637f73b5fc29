"""Reading a checkpoint's folder tensor by tensor: nothing is in memory before it is asked for."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE = ("model.safetensors", "pytorch_model.bin")


class Checkpoint:
    """A folder in the Hugging Face format: one file or shards with an index, safetensors or PyTorch's."""

    def __init__(self, folder: Path):
        """Raises FileNotFoundError when there are no weights, or a shard that the index names is missing."""
        self.folder = folder
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._files = _locate(folder)
        if absent := sorted({file for file in self._files.values() if not (folder / file).exists()}):
            raise FileNotFoundError(f"{folder} lacks {', '.join(absent)}: download the checkpoint again")
        self._open = lru_cache(maxsize=2)(_open)

    @property
    def names(self) -> list[str]:
        return list(self._files)

    def tensor(self, name: str) -> Tensor:
        """A tensor as it is stored, mapped from its file where the format allows."""
        return self._open(self.folder / self._files[name])(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensor(name).shape)

    def fill(self, module: nn.Module, keys: Mapping[str, str]) -> None:
        """Copy tensors into a module's, converting to their type. keys: name in the module -> name in the checkpoint.

        Raises ValueError naming a tensor of another shape.
        """
        targets = module.state_dict(keep_vars=True)
        with torch.no_grad():
            for target, name in keys.items():
                stored = self.tensor(name)
                if stored.shape != targets[target].shape:
                    raise ValueError(f"{name} has the shape {tuple(stored.shape)}, but {tuple(targets[target].shape)} is needed")
                targets[target].copy_(stored)

    def release(self) -> None:
        """Close the files; they open again when asked."""
        self._open.cache_clear()


def save_sharded(folder: Path, tensors: Mapping[str, Tensor], shards: int) -> None:
    """Write `pytorch_model-0000x-of-0000y.bin` with their index, as LISA's authors did."""
    names = list(tensors)
    size = -(-len(names) // shards)
    files: dict[str, str] = {}
    for shard in range(shards):
        file = f"pytorch_model-{shard + 1:05}-of-{shards:05}.bin"
        part = names[shard * size : (shard + 1) * size]
        torch.save({name: tensors[name] for name in part}, folder / file)
        files |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (folder / _INDEXES[1]).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _locate(folder: Path) -> dict[str, str]:
    for index in _INDEXES:
        if (folder / index).exists():
            return json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
    for file in _SINGLE:
        if (folder / file).exists():
            return dict.fromkeys(_names(folder / file), file)
    raise FileNotFoundError(f"{folder} holds no weights: none of {', '.join((*_INDEXES, *_SINGLE))} is there")


def _names(path: Path) -> Iterable[str]:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    return list(_load_pickle(path))


def _open(path: Path) -> Callable[[str], Tensor]:
    if path.suffix == ".safetensors":
        return safe_open(path, framework="pt").get_tensor
    return _load_pickle(path).__getitem__


def _load_pickle(path: Path) -> dict[str, Tensor]:
    """Nothing but tensors is unpickled. Files older than PyTorch 1.6 cannot be mapped and are read whole."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        if "mmap" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)
