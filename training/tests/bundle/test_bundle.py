"""The bundle of toy size: written, described, run and compared with the modules it came from."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from segue_training.bundle.manifest import GRAPHS
from segue_training.bundle.runtime import OnnxStages, Runtime
from segue_training.bundle.torch_stages import TorchStages
from segue_training.tiny import SEED, export_tiny, tiny_parts

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny-random"
    export_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_describes_every_file(folder, manifest):
    graphs = manifest["graphs"]
    assert set(graphs) == set(GRAPHS)
    entries = [*graphs.values(), *(e for g in graphs.values() for e in g["externalData"])]
    entries += [manifest["language"]["tokenizer"], manifest["golden"]]
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    named = {entry["file"] for entry in entries} | {"manifest.json", "README.md"}
    assert {name for name in files_of(folder) if not name.endswith(".png")} == named


def test_the_same_model_gives_the_same_bytes(folder, tmp_path):
    export_tiny(tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(folder)


def test_the_bundle_stays_small(folder):
    assert sum(map(len, files_of(folder).values())) < 1_000_000


@pytest.mark.parametrize("committed", [None, "tiny-random", "segue-smol"])
def test_golden_answers_come_back(committed, folder):
    bundle = MODELS / committed if committed else folder
    runtime = Runtime.open(bundle)
    cases = json.loads((bundle / "golden" / "cases.json").read_text())
    assert {0, 1, 2} <= {len(case["segments"]) for case in cases}
    for case in cases:
        answer = runtime.answer(Image.open(bundle / case["image"]), case["question"])
        assert (answer.prompt_ids, answer.token_ids) == (case["promptIds"], case["tokenIds"])
        assert answer.text == case["text"]
        assert len(answer.token_ids) < runtime.manifest["language"]["limits"]["maxNewTokens"], "must end by itself"
        for segment, golden in zip(answer.segments, case["segments"], strict=True):
            expected = coco_mask.decode(golden["mask"])
            union = (expected | segment.mask).sum()
            assert 0 < expected.mean() < 1
            assert (expected & segment.mask).sum() / union >= case["tolerance"]["maskIou"]
            assert segment.score == pytest.approx(golden["score"], abs=case["tolerance"]["score"])


def test_seg_embeddings_are_the_pytorch_ones(folder, manifest):
    runtime = Runtime.open(folder)
    reference = Runtime(manifest, runtime.tokenizer, TorchStages(tiny_parts(SEED)))
    picture = Image.open(folder / "golden/wide.png")
    got, expected = (one.answer(picture, "What is here?").segments for one in (runtime, reference))
    assert got
    for a, b in zip(got, expected, strict=True):
        cosine = a.embedding @ b.embedding / np.linalg.norm(a.embedding) / np.linalg.norm(b.embedding)
        assert cosine >= 0.999


def test_masks_depend_on_the_picture(folder):
    runtime = Runtime.open(folder)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 96, 3), np.uint8))
    masks = [
        runtime.mask_only(runtime.look(picture), "the ball").mask for picture in (noise, Image.open(folder / "golden/wide.png"))
    ]
    assert masks[0].shape == masks[1].shape == (60, 96)
    assert (masks[0] != masks[1]).mean() > 0.05


@pytest.fixture(scope="module")
def decoder_inputs(folder):
    runtime = Runtime.open(folder)
    look = runtime.look(Image.open(folder / "golden/tall.png"))
    prompts = np.random.default_rng(3).standard_normal((3, runtime.manifest["language"]["promptSize"])).astype(np.float32)
    return {**look.tensors, "seg_embeddings": prompts, "resized_size": look.resized, "original_size": look.original}


@pytest.mark.parametrize("original", [(90, 50), (180, 100), (45, 25), (301, 167)])
def test_masks_are_the_pytorch_ones_at_any_size(folder, decoder_inputs, original):
    inputs = {**decoder_inputs, "original_size": np.array(original)}
    got, expected = OnnxStages(folder).run("decoder", inputs), TorchStages(tiny_parts(SEED)).run("decoder", inputs)
    assert got["masks"].shape == (3, *original)
    assert got["masks"].dtype == np.uint8
    both, either = (got["masks"] & expected["masks"]).sum((1, 2)), (got["masks"] | expected["masks"]).sum((1, 2))
    assert (both / either >= 0.99).all()
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=1e-5)
    np.testing.assert_allclose(got["peak_logit"], expected["peak_logit"], rtol=1e-4)


def test_segments_together_are_segments_alone(folder, decoder_inputs):
    stages = OnnxStages(folder)
    together = stages.run("decoder", decoder_inputs)
    for index in range(3):
        alone = stages.run("decoder", {**decoder_inputs, "seg_embeddings": decoder_inputs["seg_embeddings"][index : index + 1]})
        assert (alone["masks"][0] == together["masks"][index]).all()


@pytest.mark.parametrize(("broken", "affected"), [("seg_embeddings", [0]), ("coarse", [0, 1, 2])])
def test_a_broken_input_shows_in_the_peak(folder, decoder_inputs, broken, affected):
    value = decoder_inputs[broken].copy()
    value.flat[5] = np.nan
    peaks = OnnxStages(folder).run("decoder", {**decoder_inputs, broken: value})["peak_logit"]
    assert np.flatnonzero(~np.isfinite(peaks)).tolist() == affected
