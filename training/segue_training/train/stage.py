"""One training stage: optimiser, schedule, moving average, checkpoints, progress and log."""

from __future__ import annotations

import json
import math
import random
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

_LATEST = 100


@dataclass(frozen=True)
class StageOptions:
    """How a stage runs."""

    name: str
    steps: int
    warmup: int = 40
    clip: float = 1.0
    ema: float = 0.99
    save_every_s: float = 120.0
    limit_s: float | None = None
    """Ends early after this time; the schedule follows whichever of steps and time is further on."""
    keep: bool = True
    """Whether checkpoints are written and gone on from."""
    skip_limit: int = 10
    """The stage fails when more of its latest 100 steps than these had gradients that are not finite."""


ParameterGroup = dict[str, Any]
"""A group as torch's optimisers take it: `params`, `lr`, `weight_decay`."""


def parameter_groups(modules: Iterable[tuple[nn.Module, float]], decay: float) -> list[ParameterGroup]:
    """Optimiser groups of (module, learning rate): weight decay on matrices only, frozen parameters left out."""
    groups = []
    for module, rate in modules:
        trainable = [p for p in module.parameters() if p.requires_grad]
        groups.append({"params": [p for p in trainable if p.dim() > 1], "lr": rate, "weight_decay": decay})
        groups.append({"params": [p for p in trainable if p.dim() <= 1], "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


@torch.no_grad()
def go_half_way(module: torch.nn.Module, before: dict[str, Tensor]) -> None:
    """Puts the mean of the weights before and after into a module.

    It keeps most of what was learnt and loses little of what was known (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022).
    """
    for name, parameter in module.named_parameters():
        parameter.lerp_(before[name], 0.5)


class Stage:
    """Runs `loss(step, rng) -> {name: tensor}` (the entry `loss` is minimised) for a number of steps.

    The state in OUT/<name>.pt (trainable weights, moving average, optimiser, step) is written every few
    minutes and at the end; a stage started again goes on from there. The random stream of a step depends
    on the seed and the step alone, so that a resumed stage sees what an uninterrupted one would.

    A step whose gradient is not finite changes nothing; it is counted, said and logged. Raises FloatingPointError when there
    are too many of them, or when the loss is not finite.
    """

    def __init__(self, model: nn.Module, groups: list[ParameterGroup], options: StageOptions, out: Path, seed: int = 0):
        self.model, self.options, self.out, self.seed = model, options, out, seed
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.average = {name: p.detach().clone() for name, p in self._trainable()}
        self.step = 0
        self.stopped = False
        self.skipped: deque[bool] = deque(maxlen=_LATEST)
        """Of the latest steps, which were skipped."""
        self.started = time.monotonic()
        if options.keep and self.checkpoint.exists():
            self._restore()

    @property
    def checkpoint(self) -> Path:
        return self.out / f"{self.options.name}.pt"

    def run(self, loss: Callable[[int, random.Random], dict[str, Tensor]]) -> None:
        """Trains to the end and leaves the averaged weights in the model.

        SIGTERM ends the process after the step that runs, with the checkpoint written.
        """
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            self._run(loss)
        finally:
            signal.signal(signal.SIGTERM, before)

    def _run(self, loss: Callable[[int, random.Random], dict[str, Tensor]]) -> None:
        options, saved, recent = self.options, time.monotonic(), defaultdict(list)
        self.started = saved
        total = options.steps if options.limit_s is None else None  # how many it will be is then not known
        bar = tqdm(iter(range(self.step, options.steps)), initial=self.step, total=total, desc=options.name, smoothing=0.05)
        for step in bar:
            torch.manual_seed(self.seed * 1_000_003 + step)
            self._schedule(step)
            parts = loss(step, random.Random(f"{self.seed}-{options.name}-{step}"))
            if not math.isfinite(float(parts["loss"].detach())):
                raise FloatingPointError(f"{options.name}: the loss is not finite at step {step}")
            self._descend(step, parts["loss"])
            self._update_average(step)
            self.step = step + 1
            for name, value in parts.items():
                recent[name].append(float(value.detach()))
            ended = self._progress(self.step) >= 1
            if self.step % 20 == 0 or ended:
                means = {name: round(sum(values) / len(values), 4) for name, values in recent.items()}
                bar.set_postfix(means)
                self._log({"step": self.step, **means, **({"skipped": sum(self.skipped)} if any(self.skipped) else {})})
                recent.clear()
            if ended:
                break
            if self.stopped:
                if options.keep:
                    self.save()
                raise SystemExit(f"{options.name}: stopped after {self.step} steps; the same command goes on from there")
            if options.keep and time.monotonic() - saved > options.save_every_s:
                self.save()
                saved = time.monotonic()
        if options.keep:
            self.save()
        self.load_average()

    def _descend(self, step: int, loss: Tensor) -> None:
        """One step of the optimiser, or none where the gradient is not finite."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for _, p in self._trainable()], self.options.clip)
        finite = bool(torch.isfinite(norm))
        self.skipped.append(not finite)
        if finite:
            self.optimiser.step()
            return
        skipped, name = sum(self.skipped), self.options.name
        said = f"{name}: step {step} skipped, its gradient is not finite ({skipped} of the latest {len(self.skipped)})"
        tqdm.write(said, file=sys.stderr)
        if skipped > self.options.skip_limit:
            raise FloatingPointError(
                f"{name}: at step {step}, {skipped} of the latest {len(self.skipped)} gradients are not finite, but the loss is"
            )

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def load_average(self) -> None:
        """Puts the moving average into the model."""
        for name, parameter in self._trainable():
            parameter.data.copy_(self.average[name])

    def save(self) -> None:
        """Writes the checkpoint; a kill while writing leaves the old one."""
        state = {
            "step": self.step,
            "weights": {name: p.detach() for name, p in self._trainable()},
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def _restore(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        for name, parameter in self._trainable():
            parameter.data.copy_(state["weights"][name])
        self.average, self.step = state["average"], state["step"]
        self.optimiser.load_state_dict(state["optimiser"])

    def _trainable(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def _schedule(self, step: int) -> None:
        options = self.options
        progress = self._progress(step)
        factor = (step + 1) / options.warmup if step < options.warmup else 0.02 + 0.49 * (1 + math.cos(math.pi * progress))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def _progress(self, step: int) -> float:
        """How far the stage is after its warm-up, 0..1."""
        options = self.options
        done = (step - options.warmup) / max(1, options.steps - options.warmup)
        spent = 0.0 if options.limit_s is None else (time.monotonic() - self.started) / options.limit_s
        return max(done, spent)

    def _update_average(self, step: int) -> None:
        keep = min(self.options.ema, (1 + step) / (10 + step))
        for name, parameter in self._trainable():
            self.average[name].lerp_(parameter.detach(), 1 - keep)

    def _log(self, entry: dict[str, object]) -> None:
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps({"stage": self.options.name, "time": round(time.time()), **entry}) + "\n")
