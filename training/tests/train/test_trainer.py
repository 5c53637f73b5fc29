import itertools
import json
import os
import signal
from types import SimpleNamespace

import pytest
import torch

from segue_training.train import stage as trainer
from segue_training.train.stage import Stage, StageOptions, parameter_groups


def stage(folder, steps: int) -> tuple[torch.nn.Module, Stage]:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    return model, Stage(model, parameter_groups([(model, 0.05)], 0.01), StageOptions("fit", steps, warmup=5), folder)


def loss_of(model):
    def loss(step, rng):
        x = torch.tensor([[rng.gauss(0, 1) for _ in range(4)] for _ in range(16)])
        return {"loss": (model(x)[:, 0] - x.sum(1)).square().mean() + 0 * torch.rand(())}

    return loss


def test_a_stage_learns_and_logs(tmp_path):
    model, fit = stage(tmp_path, 120)
    fit.run(loss_of(model))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 120
    assert log[-1]["loss"] < 0.1 * log[0]["loss"]


def test_a_terminated_stage_ends_its_step_and_keeps_it(tmp_path):
    model, fit = stage(tmp_path, 40)
    plain, handler = loss_of(model), signal.getsignal(signal.SIGTERM)

    def terminated(step, rng):
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(step, rng)

    with pytest.raises(SystemExit, match="after 8 steps"):
        fit.run(terminated)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert stage(tmp_path, 40)[1].step == 8


def test_a_killed_stage_goes_on_as_if_nothing_had_happened(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    model, fit = stage(tmp_path / "whole", 40)
    fit.run(loss_of(model))
    killed, fit = stage(tmp_path / "killed", 40)
    plain = loss_of(killed)

    def dies(step, rng):
        if step == 25:
            raise KeyboardInterrupt
        if step == 20:
            fit.save()
        return plain(step, rng)

    with pytest.raises(KeyboardInterrupt):
        fit.run(dies)
    resumed, fit = stage(tmp_path / "killed", 40)
    assert fit.step == 20
    fit.run(loss_of(resumed))
    torch.testing.assert_close(resumed.weight, model.weight)


def test_a_loss_that_is_not_finite_stops_the_stage(tmp_path):
    model, fit = stage(tmp_path, 3)
    with pytest.raises(FloatingPointError, match="step 0"):
        fit.run(lambda step, rng: {"loss": model.weight.sum() * float("nan")})


def with_a_gradient_that_is_not_finite(model, steps):
    """A finite loss whose gradient is infinite at some steps: that of the square root at 0."""
    plain = loss_of(model)

    def loss(step, rng):
        parts = plain(step, rng)
        return {"loss": parts["loss"] + (0 * model.weight.sum()).sqrt()} if steps(step) else parts

    return loss


def test_a_gradient_that_is_not_finite_is_said_logged_and_changes_nothing(tmp_path, capsys):
    model, fit = stage(tmp_path, 120)
    fit.run(with_a_gradient_that_is_not_finite(model, lambda step: step in (3, 50)))
    out = capsys.readouterr().err
    assert "step 3 skipped" in out and "step 50 skipped" in out and out.count("skipped") == 2
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry.get("skipped") for entry in log] == [1, 1, 2, 2, 2, 1]
    assert log[-1]["loss"] < 0.1 * log[0]["loss"]


@pytest.mark.parametrize("share", [1, 2])
def test_gradients_that_are_often_not_finite_stop_the_stage(tmp_path, share):
    model, fit = stage(tmp_path, 120)
    before = model.weight.detach().clone()
    with pytest.raises(FloatingPointError, match=f"fit: at step {10 * share}, 11 of the latest {10 * share + 1} gradients"):
        fit.run(with_a_gradient_that_is_not_finite(model, lambda step: step % share == 0))
    assert model.weight.isfinite().all() and (share > 1 or model.weight.equal(before))


def test_a_loss_that_is_not_finite_stops_even_with_a_finite_gradient(tmp_path):
    model, fit = stage(tmp_path, 3)
    with pytest.raises(FloatingPointError, match="the loss is not finite"):
        fit.run(lambda step, rng: {"loss": model.weight.sum() + float("inf")})


def test_time_ends_a_stage_early_and_is_its_schedule(tmp_path, monkeypatch):
    now = itertools.count()
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(now), time=lambda: 0))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    options = StageOptions("test", 10_000, warmup=0, limit_s=30.0, keep=False)
    fit = Stage(model, parameter_groups([(model, 0.1)], 0.0), options, tmp_path)
    fit.run(loss_of(model))
    assert 0 < fit.step <= 30
    assert fit.optimiser.param_groups[0]["lr"] < 0.01
    assert not (tmp_path / "test.pt").exists()
    assert (tmp_path / "log.jsonl").exists()
