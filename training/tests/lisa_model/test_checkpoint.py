"""Reading checkpoints: by their own names, complete and nothing else."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from lisa.checkpoint import Checkpoint
from lisa.export import main as export_main
from lisa.facts import bundle_name, lisa_facts
from lisa.keys import UNUSED, sort_keys
from lisa.model import LisaCheckpoint, language_config


def tensors_of(source):
    return {name: source.weights.tensor(name).clone() for name in source.weights.names}


@pytest.fixture
def changed(source, tmp_path):
    """Saves the tiny checkpoint again as one safetensors file, with a change to its tensors."""

    def save(change):
        folder = tmp_path / "lisa"
        folder.mkdir()
        for name in ("config.json", "added_tokens.json", "tokenizer_config.json", "tokenizer.model"):
            shutil.copy(source.folder / name, folder)
        tensors = tensors_of(source)
        change(tensors)
        save_file(tensors, folder / "model.safetensors")
        return LisaCheckpoint(folder, source.clip_folder)

    return save


def test_parts_keep_the_precision_of_the_file(family):
    kinds = {name: family.weights.tensor(name).dtype for name in family.weights.names}
    assert kinds["model.layers.0.mlp.up_proj.weight"] == kinds["lm_head.weight"] == torch.bfloat16
    assert kinds["model.visual_model.mask_decoder.iou_token.weight"] == kinds["model.text_hidden_fcs.0.0.weight"] == torch.float32
    parts = (family.sam_encoder(), family.vision_tower(), family.seg_head(), family.mask_stage(), family.language())
    assert {parameter.dtype for part in parts for parameter in part.state_dict().values()} == {torch.float32}


def test_every_tensor_has_a_place(family):
    parts = sort_keys(family.weights.names)
    assert sum(map(len, parts.values())) == len(family.weights.names)
    assert {name.split(".")[2] for name in parts[UNUSED]} == {"prompt_encoder", "0", "1"}


def test_both_formats_give_the_same_model(source, changed):
    again = changed(lambda tensors: None)
    for one, other in zip(source.mask_stage().state_dict().values(), again.mask_stage().state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(source.layer(1).qkv.weight, again.layer(1).qkv.weight)


@pytest.mark.parametrize("name", ["model.segmenter.weight", "model.layers.0.self_attn.q_proj.bias", "base_model.lm_head.weight"])
def test_an_unknown_tensor_is_named(changed, name):
    with pytest.raises(ValueError, match=f"not LISA's: {name}"):
        changed(lambda tensors: tensors.update({name: torch.zeros(1)}))


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("model.layers.1.mlp.up_proj.weight", None),
        ("model.visual_model.image_encoder.blocks.2.attn.qkv.bias", "sam_encoder"),
        ("model.visual_model.image_encoder.pos_embed", "sam_encoder"),
        ("model.visual_model.prompt_encoder.no_mask_embed.weight", "mask_stage"),
        ("model.visual_model.mask_decoder.output_hypernetworks_mlps.0.layers.1.weight", "mask_stage"),
        ("model.mm_projector.bias", "vision_tower"),
        ("model.mm_projector.weight", "vision_tower"),
        ("model.text_hidden_fcs.0.2.weight", "seg_head"),
        ("model.text_hidden_fcs.0.0.bias", "seg_head"),
    ],
)
def test_a_missing_tensor_is_an_error(changed, name, load):
    def load_changed():
        return getattr(changed(lambda tensors: tensors.pop(name)), load)()

    with pytest.raises(ValueError, match="lacks tensors"):
        load_changed()


def test_layers_beyond_the_configuration_are_an_error(changed):
    name = "model.layers.{}.mlp.up_proj.weight"
    with pytest.raises(ValueError, match="no place for"):
        changed(lambda tensors: tensors.update({name.format(2): tensors[name.format(1)].clone()}))


def test_a_wrong_shape_is_named(changed):
    source = changed(lambda tensors: tensors.update({"model.text_hidden_fcs.0.2.bias": torch.zeros(7)}))
    with pytest.raises(ValueError, match=r"text_hidden_fcs.0.2.bias has the shape \(7,\)"):
        source.seg_head()


def test_a_missing_shard_is_named(source, tmp_path):
    shutil.copytree(source.folder, tmp_path / "lisa")
    (tmp_path / "lisa" / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(FileNotFoundError, match="00002-of-00002.bin"):
        Checkpoint(tmp_path / "lisa")


def test_code_in_a_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("run",))

    (tmp_path / "config.json").write_text("{}")
    torch.save({"weight": Trap()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match="(?i)weights.only|unsupported"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"tie_word_embeddings": True},
        {"hidden_act": "gelu"},
        {"attention_bias": True},
    ],
)
def test_settings_that_change_the_arithmetic_are_refused(source, change):
    with pytest.raises(ValueError, match="supported"):
        language_config({**source.weights.config, **change})


def test_llamas_of_the_13b_kind_fit(source):
    """Other widths and epsilon, and fewer key heads than heads: all from the configuration."""
    config = language_config(
        {
            **source.weights.config,
            "hidden_size": 5120,
            "num_attention_heads": 40,
            "rms_norm_eps": 1e-5,
            "num_key_value_heads": 8,
        }
    )
    assert (config.head_dim, config.kv_heads, config.norm_eps, config.rope_base) == (128, 8, 1e-5, 10_000)


def test_an_embedding_that_does_not_fit_the_tokenizer_is_an_error(changed):
    def grow(tensors):
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = torch.cat((tensors[name], tensors[name][:1]))

    source = changed(grow)
    source.language_config = language_config({**source.weights.config, "vocab_size": 405})
    with pytest.raises(ValueError, match="405 rows"):
        lisa_facts(source, "tiny", "0.1.0")


def test_the_command_writes_a_bundle(source, tmp_path):
    out = tmp_path / "LISA"
    export_main(["--checkpoint", str(source.folder), "--clip", str(source.clip_folder), "--out", str(out), "--precision", "int4"])
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["name"], manifest["purpose"]) == ("lisa", "serving")
    assert json.loads((out / "golden" / "cases.json").read_text()) == []


def test_a_bundle_is_named_after_its_checkpoint():
    assert bundle_name("LISA-7B-v1") == "lisa-7b-v1"
    assert bundle_name("LISA 13B (llama2)") == "lisa-13b-llama2"
