"""COCO's compressed run lengths <-> numpy, as `pycocotools.mask` reads and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""bool[height, width]"""


class Rle(TypedDict):
    """A mask as COCO's tools take it."""

    size: list[int]
    """height, width"""
    counts: str
    """Lengths of the alternating runs in column-major order, zeros first, in 5-bit groups."""


def decode(rle: Rle) -> Mask:
    """Raises ValueError when the runs do not cover the size."""
    height, width = rle["size"]
    runs = unpack(rle["counts"])
    if sum(runs) != height * width or any(run < 0 for run in runs):
        raise ValueError(f"The counts cover {sum(runs)} pixels, not {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def encode(mask: NDArray[np.generic]) -> Rle:
    """mask: [height, width], anything but 0 is inside."""
    if mask.ndim != 2:
        raise ValueError(f"A mask has two axes, not {mask.ndim}")
    height, width = mask.shape
    flat = np.asarray(mask != 0).T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate(([0], changes, [flat.size]))).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    return {"size": [height, width], "counts": pack(runs)}


def unpack(counts: str) -> list[int]:
    """Counts -> run lengths. From the fourth on each is stored as the difference to the one two before it."""
    runs: list[int] = []
    value = shift = 0
    for letter in counts:
        group = ord(letter) - 48
        value |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("The counts end in the middle of a number")
    return runs


def pack(runs: Sequence[int]) -> str:
    """Run lengths -> counts."""
    letters: list[str] = []
    for index, run in enumerate(runs):
        value = run - (runs[index - 2] if index > 2 else 0)
        while True:
            group, value = value & 0x1F, value >> 5
            # The last group's highest bit is the sign of what is left.
            more = value != (-1 if group & 0x10 else 0)
            letters.append(chr((group | (0x20 if more else 0)) + 48))
            if not more:
                break
    return "".join(letters)
