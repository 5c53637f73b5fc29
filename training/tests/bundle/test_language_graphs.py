"""`prefill` and `decode` in ONNX Runtime against the PyTorch model and against themselves."""

import numpy as np
import onnxruntime
import pytest
import torch

from segue_training.bundle.graphs.graph import WeightFiles
from segue_training.bundle.graphs.language import build_decode, build_prefill
from segue_training.bundle.graphs.weights import FLOAT16, FLOAT32, INT4, INT8, place_language_weights
from segue_training.bundle.outliers import find_outliers
from segue_training.bundle.torch_stages import TorchStages
from segue_training.tiny import tiny_parts

LENGTHS = (9, 14, 5)
VISUAL = 3


class Graphs:
    def __init__(self, parts, folder, precision):
        weights = WeightFiles(folder)
        outliers = find_outliers(parts.language, [parts.language.embed(torch.arange(30)[None])], count=4)
        place_language_weights(weights, parts.language, precision, outliers)
        build_prefill(
            parts.language.config, weights, precision, parts.tokenizer.image, parts.first_token_bias, folder / "prefill.onnx"
        )
        build_decode(parts.language.config, weights, precision, folder / "decode.onnx")
        self.sessions = {name: onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("prefill", "decode")}

    def run(self, graph, inputs):
        session = self.sessions[graph]
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.fixture(scope="module")
def parts():
    parts = tiny_parts(seed=2)
    parts.first_token_bias = {70: 0.5, 71: -3.0}
    return parts


@pytest.fixture(scope="module", params=[FLOAT32, INT8, FLOAT16, INT4])
def graphs(request, parts, tmp_path_factory):
    return Graphs(parts, tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def exact(parts, tmp_path_factory):
    return Graphs(parts, tmp_path_factory.mktemp("exact"), FLOAT32)


@pytest.fixture(scope="module")
def batch(parts):
    """Three rows of different lengths behind pasts of different lengths, each with a picture."""
    rng = np.random.default_rng(0)
    c = parts.language.config
    ids = rng.integers(0, c.vocab_size, (3, max(LENGTHS)))
    ids[:, 1 : 1 + VISUAL] = parts.tokenizer.image
    for row, length in enumerate(LENGTHS):
        ids[row, length:] = parts.tokenizer.end
    past = rng.standard_normal((2 * c.layers, 3, c.kv_heads, 6, c.head_dim)).astype(np.float32)
    return {
        "input_ids": ids,
        "lengths": np.array(LENGTHS),
        "visual_tokens": rng.standard_normal((3, VISUAL, c.hidden)).astype(np.float32),
        "past_kv": past,
        "past_lengths": np.array([6, 0, 3]),
    }


def row_of(batch, row):
    """One row of a batch alone, without padding."""
    length, past = batch["lengths"][row], batch["past_lengths"][row]
    return {
        "input_ids": batch["input_ids"][row : row + 1, :length],
        "lengths": batch["lengths"][row : row + 1],
        "visual_tokens": batch["visual_tokens"][row : row + 1],
        "past_kv": batch["past_kv"][:, row : row + 1, :, :past],
        "past_lengths": batch["past_lengths"][row : row + 1],
    }


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_prefill_is_the_pytorch_model(parts, exact, batch):
    got, expected = exact.run("prefill", batch), TorchStages(parts).run("prefill", batch)
    for name in ("hidden", "token", "logprob"):
        close(got[name], expected[name])
    for row, length in enumerate(LENGTHS):
        close(got["kv"][:, row, :, :length], expected["kv"][:, row, :, :length])


def test_decode_is_the_pytorch_model(parts, exact, batch):
    inputs = {"token": np.array([5, 60, 99]), "steps": np.array(7)}
    inputs |= {name: batch[name] for name in ("past_kv", "past_lengths")}
    got, expected = exact.run("decode", inputs), TorchStages(parts).run("decode", inputs)
    assert (got["tokens"] == expected["tokens"]).all()
    for name in ("hidden", "logprobs", "kv"):
        close(got[name], expected[name])


def test_a_batch_gives_what_its_rows_give_alone(graphs, batch):
    together = graphs.run("prefill", batch)
    for row, length in enumerate(LENGTHS):
        alone = graphs.run("prefill", row_of(batch, row))
        assert together["token"][row] == alone["token"][0]
        close(together["hidden"][row], alone["hidden"][0])
        close(together["kv"][:, row, :, :length], alone["kv"][:, 0])


def test_a_cached_prefix_gives_what_the_whole_prompt_gives(graphs, batch):
    whole_row = row_of(batch, 1)  # the row without a past
    whole, cut = graphs.run("prefill", whole_row), 6
    ids = whole_row["input_ids"]
    first = graphs.run("prefill", {**whole_row, "input_ids": ids[:, :cut], "lengths": np.array([cut])})
    second = graphs.run(
        "prefill",
        {
            "input_ids": ids[:, cut:],
            "lengths": np.array([ids.shape[1] - cut]),
            "visual_tokens": np.zeros_like(whole_row["visual_tokens"][:, :1]),
            "past_kv": first["kv"],
            "past_lengths": np.array([cut]),
        },
    )
    assert whole["token"] == second["token"]
    close(whole["hidden"], second["hidden"])
    close(whole["kv"], np.concatenate((first["kv"], second["kv"]), axis=3))


def test_a_chunk_gives_what_single_steps_give(graphs, batch):
    start = graphs.run("prefill", row_of(batch, 1))
    past, length = start["kv"], LENGTHS[1]
    inputs = {"token": start["token"], "past_kv": past, "past_lengths": np.array([length])}
    chunk = graphs.run("decode", {**inputs, "steps": np.array(6)})
    token = start["token"]
    for index in range(6):
        step = graphs.run(
            "decode", {"token": token, "past_kv": past, "past_lengths": np.array([length + index]), "steps": np.array(1)}
        )
        past, token = np.concatenate((past, step["kv"]), axis=3), step["tokens"][:, 0]
        assert token == chunk["tokens"][:, index]
        close(step["hidden"][:, 0], chunk["hidden"][:, index])
    close(past[:, :, :, length:], chunk["kv"])


def test_decoding_a_batch_of_different_pasts_gives_what_rows_give_alone(graphs, batch):
    inputs = {"token": np.array([5, 60, 99]), "past_kv": batch["past_kv"], "past_lengths": np.array([6, 2, 3])}
    together = graphs.run("decode", {**inputs, "steps": np.array(5)})
    for row, past in enumerate(inputs["past_lengths"]):
        alone = graphs.run(
            "decode",
            {
                "token": inputs["token"][row : row + 1],
                "past_kv": batch["past_kv"][:, row : row + 1, :, :past],
                "past_lengths": inputs["past_lengths"][row : row + 1],
                "steps": np.array(5),
            },
        )
        assert (together["tokens"][row] == alone["tokens"][0]).all()
        close(together["hidden"][row], alone["hidden"][0])


@pytest.mark.parametrize("precision", [FLOAT32, INT8])
def test_neighbours_change_no_bit(parts, tmp_path, precision):
    """Else a rounding to 8 bits makes much of the last bit, and an answer would depend on how long its neighbours are."""
    graphs = Graphs(parts, tmp_path, precision)
    rng, c, lengths = np.random.default_rng(4), parts.language.config, (37, 90, 151)
    past = rng.standard_normal((2 * c.layers, 3, c.kv_heads, 160, c.head_dim)).astype(np.float32)
    ids, asked = rng.integers(0, 60, (3, 23)), (9, 23, 14)
    token, nothing = np.array([5, 60, 99]), np.zeros((3, 1, c.hidden), np.float32)

    def run(rows: slice, past_columns: int, new_columns: int) -> list[dict]:
        shared = {"past_kv": past[:, rows, :, :past_columns], "past_lengths": np.array(lengths[rows])}
        read = {"input_ids": ids[rows, :new_columns], "lengths": np.array(asked[rows]), "visual_tokens": nothing[rows]}
        return [graphs.run("prefill", shared | read), graphs.run("decode", shared | {"token": token[rows], "steps": np.array(5)})]

    together = run(slice(0, 3), 160, 23)
    for row in range(3):
        for alone, batch in zip(run(slice(row, row + 1), lengths[row], asked[row]), together, strict=True):
            assert np.array_equal(alone["hidden"][0], batch["hidden"][row])


def test_decoding_without_new_past_columns_reads_no_padding(graphs, batch):
    """What lies beyond a row's past length must not matter."""
    inputs = {"token": np.array([5, 60, 99]), "past_lengths": np.array([6, 2, 3]), "steps": np.array(2)}
    dirty = batch["past_kv"].copy()
    for row, past in enumerate(inputs["past_lengths"]):
        dirty[:, row, :, past:] = 1e4
    clean = graphs.run("decode", {**inputs, "past_kv": batch["past_kv"]})
    close(graphs.run("decode", {**inputs, "past_kv": dirty})["hidden"], clean["hidden"])


@pytest.mark.parametrize("precision", [INT8, FLOAT16, INT4])
def test_smaller_weights_stay_near_float32(parts, exact, batch, tmp_path, precision):
    rough = Graphs(parts, tmp_path, precision).run("prefill", batch)["hidden"]
    fine = exact.run("prefill", batch)["hidden"]
    cosine = (rough * fine).sum(1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(fine, axis=1)
    assert (cosine > 0.8).all()  # 4-bit noise of random weights; a trained bundle reports its own figure
