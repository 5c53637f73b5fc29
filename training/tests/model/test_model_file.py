"""The checkpoint file, with the tiny language model in place of the real one."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from segue_training.model import segue_model as module
from segue_training.model.checkpoint import load_facts
from segue_training.model.config import VisionConfig
from segue_training.model.segue_model import SegueModel, load_model, save_model
from segue_training.model.vision import CenterNet
from segue_training.own.names import add_names
from segue_training.tiny import tiny_parts


@pytest.fixture
def model(monkeypatch) -> SegueModel:
    parts = tiny_parts(seed=5)
    monkeypatch.setattr(module, "smollm2_path", lambda: None)
    monkeypatch.setattr(module, "load_gguf", lambda path, dtype: tiny_parts(seed=9).language)
    monkeypatch.setattr(module, "gguf_tokenizer", lambda path: parts.tokenizer)
    return SegueModel(CenterNet(), parts.language, parts.tokenizer).eval()


def test_a_model_comes_back_with_its_names_and_facts(model, tmp_path):
    add_names(model, ["valve", "gauge"])
    model.refusal_bias.fill_(1.25)
    facts = {"options": {"seed": 3}, "evaluation": {"model": {"explicit": {"giou": 0.5}}}}
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    save_model(model, tmp_path / "model.safetensors", facts)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.names == model.names and load_facts(tmp_path / "model.safetensors") == facts
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_compact_file_halves_lora_alone(model, tmp_path):
    sizes = []
    for compact in (False, True):
        save_model(model, tmp_path / "model.safetensors", {}, compact)
        sizes.append((tmp_path / "model.safetensors").stat().st_size)
    halved = {name for name, value in load_file(tmp_path / "model.safetensors").items() if value.dtype == torch.float16}
    lora = {name: value.clone() for name, value in model.state_dict().items() if ".lora_" in name}
    assert halved == set(lora)
    assert sizes[0] - sizes[1] == pytest.approx(2 * sum(value.numel() for value in lora.values()), abs=200)
    loaded = load_model(tmp_path / "model.safetensors").state_dict()
    for name, value in lora.items():
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name], value, rtol=1e-3, atol=1e-6)


def test_a_broken_model_is_not_written_over_a_good_one(model, tmp_path):
    save_model(model, tmp_path / "model.safetensors", {"good": True})
    with torch.no_grad():
        model.projector.gain[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"model.safetensors is not written, .* projector.gain"):
        save_model(model, tmp_path / "model.safetensors", {})
    assert load_facts(tmp_path / "model.safetensors") == {"good": True}
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_other_files_are_refused_by_name(model, tmp_path):
    torch.save({}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="model.pt is no safetensors file"):
        load_model(tmp_path / "model.pt")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors holds no `config`"):
        load_model(tmp_path / "other.safetensors")


def test_a_model_of_other_sizes_is_refused(model, tmp_path, monkeypatch):
    save_model(model, tmp_path / "model.safetensors", {})
    monkeypatch.setattr(module, "VisionConfig", lambda: VisionConfig(grid=4))
    with pytest.raises(ValueError, match="other sizes"):
        load_model(tmp_path / "model.safetensors")
