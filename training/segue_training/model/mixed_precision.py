"""Whether 16-bit products pay on this machine."""

from __future__ import annotations

import time
from functools import cache

import torch

_ROWS, _INPUTS, _OUTPUTS = 512, 576, 1536


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device multiplies it faster than float32, else float32 as it is.

    A CPU without matrix extensions only emulates bfloat16, eight times slower than its float32 products.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=half_is_faster(device.type))


@cache
def half_is_faster(device_type: str) -> bool:
    """Measured on a CPU, in a tenth of a second; assumed of everything else."""
    if device_type != "cpu":
        return True
    seconds = {dtype: _seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return seconds[torch.bfloat16] < seconds[torch.float32]


def _seconds(dtype: torch.dtype) -> float:
    x, weight = torch.zeros(_ROWS, _INPUTS, dtype=dtype), torch.zeros(_OUTPUTS, _INPUTS, dtype=dtype)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        best = min(best, time.perf_counter() - started)
    return best
