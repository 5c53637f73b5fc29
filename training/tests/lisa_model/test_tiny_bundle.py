"""`models/tiny-lisa`: written again, asked again, broken on purpose; and the same checkpoint at other precisions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lisa.export import export_lisa
from lisa.facts import lisa_facts, lisa_parts
from lisa.tiny import export_tiny_lisa
from segue_training.bundle.golden import check_golden
from segue_training.bundle.runtime import OnnxStages, Runtime
from segue_training.bundle.torch_stages import TorchStages

COMMITTED = Path(__file__).resolve().parents[3] / "models" / "tiny-lisa"


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_the_same_checkpoint_gives_the_same_bytes(bundle, tmp_path):
    export_tiny_lisa(tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(bundle)


def test_the_committed_bundle_is_what_the_exporter_writes(bundle):
    """Weights, tokenizer and inputs to the byte; graphs and answers may differ between versions of PyTorch."""
    fresh, committed = files_of(bundle), files_of(COMMITTED)
    assert fresh.keys() == committed.keys()
    for name in fresh:
        if name.endswith((".bin", ".png", ".safetensors")) or name == "tokenizer.json":
            assert fresh[name] == committed[name], name
    assert sum(map(len, committed.values())) < 2_000_000


@pytest.mark.parametrize("fresh", [True, False])
def test_golden_answers_come_back(bundle, fresh):
    folder = bundle if fresh else COMMITTED
    check_golden(folder)
    cases = json.loads((folder / "golden" / "cases.json").read_text())
    assert {0, 1, 2} == {min(len(case["segments"]), 2) for case in cases}
    longest = json.loads((folder / "manifest.json").read_text())["language"]["limits"]["maxNewTokens"]
    assert all(len(case["tokenIds"]) < longest for case in cases), "answers must end by themselves"
    runtime = Runtime.open(folder)
    for case in cases:
        answer = runtime.answer(Image.open(folder / case["image"]), case["question"])
        for segment, golden in zip(answer.segments, case["segments"], strict=True):
            assert 0.02 < segment.mask.mean() < 0.98
            assert cosine(segment.embedding, np.array(golden["embedding"])) >= 0.999


def test_a_manifest_has_two_inputs_and_an_uncalibrated_score(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert [run["image"] for run in manifest["encoder"]["runs"]] == ["main", "clip"]
    assert manifest["encoder"]["decoderTensors"] == ["image_embeddings"]
    assert manifest["images"]["main"]["pad"] == {"to": [96, 96], "when": "after_normalise", "value": [0, 0, 0]}
    assert manifest["images"]["clip"]["resize"]["rounding"] == "down"
    assert (manifest["decoder"]["scoreCalibrated"], manifest["language"]["segState"]) == (False, "before")
    assert manifest["language"]["ids"] | {"end": 0} == {"seg": 403, "image": 404, "end": 0, "bos": 1, "pad": 0}
    assert manifest["training"]["tokenizer"]["legacy"] is False


@pytest.fixture(scope="module")
def decoder_inputs(bundle):
    runtime = Runtime.open(bundle)
    look = runtime.look(Image.open(bundle / "golden/tall.png"))
    prompts = np.random.default_rng(3).standard_normal((16, 32)).astype(np.float32)
    return {**look.tensors, "seg_embeddings": prompts, "resized_size": look.resized, "original_size": look.original}


@pytest.mark.parametrize("count", [1, 3, 16])
def test_segments_together_are_segments_alone(bundle, source, decoder_inputs, count):
    stages = OnnxStages(bundle)
    prompts = decoder_inputs["seg_embeddings"][:count]
    together = stages.run("decoder", {**decoder_inputs, "seg_embeddings": prompts})
    expected = TorchStages(lisa_parts(source, lisa_facts(source, "tiny", "0.1.0"))).run(
        "decoder", {**decoder_inputs, "seg_embeddings": prompts}
    )
    np.testing.assert_allclose(together["scores"], expected["scores"], atol=1e-5)
    for index in range(count):
        alone = stages.run("decoder", {**decoder_inputs, "seg_embeddings": prompts[index : index + 1]})
        assert (alone["masks"][0] != together["masks"][index]).mean() < 1e-3


@pytest.mark.parametrize(("broken", "affected"), [("seg_embeddings", [0]), ("image_embeddings", list(range(16)))])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_input_shows_in_the_peak(bundle, decoder_inputs, broken, affected, value):
    changed = decoder_inputs[broken].copy()
    changed.flat[5] = value
    peaks = OnnxStages(bundle).run("decoder", {**decoder_inputs, broken: changed})["peak_logit"]
    assert np.flatnonzero(~np.isfinite(peaks)).tolist() == affected


def test_the_decoder_computes_in_float32(bundle):
    import onnx

    for name in ("decoder", "seg_head", "encoder", "clip"):
        graph = onnx.load(bundle / f"{name}.onnx").graph
        kinds = {tensor.data_type for tensor in graph.initializer} | {
            value.type.tensor_type.elem_type for value in graph.value_info
        }
        assert not kinds & {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}, name


@pytest.mark.parametrize(("precision", "least"), [("float16", 0.9999), ("int4", 0.9)])
def test_other_precisions_stay_near(bundle, source, tmp_path, precision, least):
    """Random weights have no structure that rounding could keep, so 4 bits are held to little; a real bundle to more."""
    export_lisa(source, tmp_path / "bundle", lisa_facts(source, "tiny", "0.1.0"), precision, [])
    runtime, exact = Runtime.open(tmp_path / "bundle"), Runtime.open(bundle)
    picture = Image.open(bundle / "golden/wide.png")
    got, expected = (one.mask_only(one.look(picture), "the red ball").embedding for one in (runtime, exact))
    assert cosine(got, expected) >= least
    stored = sum(path.stat().st_size for path in (tmp_path / "bundle").glob("language-*.bin"))
    assert stored < 0.55 * (bundle / "language-base-0.bin").stat().st_size
