"""The language graph in ONNX Runtime against the PyTorch model and against itself."""

import numpy as np
import onnxruntime
import pytest
import torch

from segue_training.bundle.graphs.graph import WeightFiles
from segue_training.bundle.graphs.language import build_language
from segue_training.bundle.graphs.weights import FLOAT16, FLOAT32, INT4, INT8, place_language_weights
from segue_training.bundle.outliers import find_outliers
from segue_training.bundle.runtime import has_exact_products
from segue_training.bundle.torch_stages import TorchStages
from segue_training.tiny import tiny_parts

LENGTHS = (9, 14, 5)
VISUAL = 3
HIDDEN = 32


class Graphs:
    """The graph in ONNX Runtime; `quantprecision` as on a CPU without VNNI."""

    def __init__(self, parts, folder, precision, quantprecision=False):
        weights = WeightFiles(folder)
        outliers = find_outliers(parts.language, [parts.language.embed(torch.arange(30)[None])], count=4)
        place_language_weights(weights, parts.language, precision, outliers)
        path = folder / "language.onnx"
        build_language(parts.language.config, weights, precision, parts.tokenizer.image, parts.first_token_bias, path)
        options = onnxruntime.SessionOptions()
        if quantprecision or not has_exact_products():
            options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(path, options)

    def run(self, inputs):
        return dict(zip([o.name for o in self.session.get_outputs()], self.session.run(None, inputs), strict=True))

    def write(self, token, past, count):
        """`count` greedy steps of one row, token by token: tokens and states."""
        tokens, states = [], []
        for _ in range(count):
            step = self.run(fed([[token]], past))
            past, token = np.concatenate((past, step["kv"]), axis=3), step["tokens"][0, 0]
            tokens.append(token)
            states.append(step["hidden"][0, 0])
        return tokens, states


def fed(ids, past, **others):
    """Inputs of rows without padding or pictures behind a past that is valid as a whole."""
    ids = np.array(ids)
    size, width = ids.shape
    inputs = {
        "input_ids": ids,
        "lengths": np.full(size, width),
        "visual_tokens": np.zeros((size, 1, HIDDEN), np.float32),
        "past_kv": past,
        "past_lengths": np.full(size, past.shape[3]),
        "answer_starts": np.full(size, -1),
        "last": np.array(1),
    }
    return {**inputs, **others}


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
        "answer_starts": np.array([8, -1, 3]),
        "last": np.array(2),
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
        "answer_starts": batch["answer_starts"][row : row + 1],
        "last": batch["last"],
    }


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_it_is_the_pytorch_model(parts, exact, batch):
    got, expected = exact.run(batch), TorchStages(parts).run("language", batch)
    for name in ("hidden", "tokens", "logprobs"):
        close(got[name], expected[name])
    for row, length in enumerate(LENGTHS):
        close(got["kv"][:, row, :, :length], expected["kv"][:, row, :, :length])


def test_a_row_shorter_than_what_is_asked_for_repeats_its_first_position(parts, exact, batch):
    asked = {**batch, "last": np.array(7)}
    got, expected = exact.run(asked), TorchStages(parts).run("language", asked)
    for name in ("hidden", "tokens", "logprobs"):
        close(got[name], expected[name])
    assert (got["hidden"][2, :2] == got["hidden"][2, 2]).all()


def test_the_calibration_counts_where_an_answer_begins(parts, exact, batch):
    """There and nowhere else."""
    row = row_of(batch, 1)
    plain = exact.run({**row, "answer_starts": np.array([-1])})
    begun = exact.run({**row, "answer_starts": np.array([13])})
    assert begun["logprobs"][0, 0] == plain["logprobs"][0, 0]
    assert begun["logprobs"][0, 1] != plain["logprobs"][0, 1]
    logits = parts.language.logits(torch.from_numpy(plain["hidden"][0, 1:]))
    for index, amount in parts.first_token_bias.items():
        logits[0, index] += amount
    close(begun["logprobs"][0, 1], logits.log_softmax(-1).max().item())


def test_a_batch_gives_what_its_rows_give_alone(graphs, batch):
    together = graphs.run(batch)
    for row, length in enumerate(LENGTHS):
        alone = graphs.run(row_of(batch, row))
        assert (together["tokens"][row] == alone["tokens"][0]).all()
        close(together["hidden"][row], alone["hidden"][0])
        close(together["kv"][:, row, :, :length], alone["kv"][:, 0])


def test_a_cached_prefix_gives_what_the_whole_prompt_gives(graphs, batch):
    whole_row = row_of(batch, 1)  # the row without a past
    whole, cut = graphs.run(whole_row), 6
    ids = whole_row["input_ids"]
    first = graphs.run({**whole_row, "input_ids": ids[:, :cut], "lengths": np.array([cut])})
    second = graphs.run(fed(ids[:, cut:], first["kv"], last=np.array(2)))
    assert (whole["tokens"] == second["tokens"]).all()
    close(whole["hidden"], second["hidden"])
    close(whole["kv"], np.concatenate((first["kv"], second["kv"]), axis=3))


def test_a_draft_gives_what_single_steps_give(graphs, batch):
    """Up to the first draft token that the model would not have written."""
    start = graphs.run(row_of(batch, 1))
    token, past = int(start["tokens"][0, -1]), start["kv"]
    tokens, states = graphs.write(token, past, 6)
    draft = [token, *tokens[:3], tokens[3] + 1]
    checked = graphs.run(fed([draft], past, last=np.array(len(draft))))
    assert checked["tokens"][0, :4].tolist() == tokens[:4]
    for index in range(4):
        close(checked["hidden"][0, index], states[index])


@pytest.mark.parametrize("precision", [FLOAT32, INT8])
def test_neighbours_change_no_bit(parts, tmp_path, precision):
    """Else a rounding to 8 bits makes much of the last bit, and an answer would depend on how long its neighbours are.

    Rows of one token among them: those that are written without a draft.
    """
    graphs = Graphs(parts, tmp_path, precision)
    rng, c, lengths = np.random.default_rng(4), parts.language.config, (37, 90, 151, 60)
    past = rng.standard_normal((2 * c.layers, 4, c.kv_heads, 160, c.head_dim)).astype(np.float32)
    ids, asked = rng.integers(0, 60, (4, 23)), (9, 23, 14, 1)

    def run(rows: slice, past_columns: int, new_columns: int) -> dict:
        return graphs.run(
            fed(
                ids[rows, :new_columns],
                past[:, rows, :, :past_columns],
                past_lengths=np.array(lengths[rows]),
                lengths=np.array(asked[rows]),
                last=np.array(4),
            )
        )

    together = run(slice(0, 4), 160, 23)
    for row in range(4):
        alone = run(slice(row, row + 1), lengths[row], asked[row])
        assert np.array_equal(alone["hidden"][0], together["hidden"][row])


@pytest.mark.parametrize("precision", [FLOAT32, INT8])
def test_a_question_read_with_its_picture_gives_the_bits_of_one_read_behind_it(parts, tmp_path, precision):
    """With neighbours that ask longer questions, and beyond the columns that a product adds up in one go."""
    graphs = Graphs(parts, tmp_path, precision)
    rng, visual, prefix = np.random.default_rng(8), 140, 143
    ids = rng.integers(0, 60, (2, prefix + 19))
    ids[:, prefix - visual : prefix] = parts.tokenizer.image
    seen = rng.standard_normal((2, visual, HIDDEN)).astype(np.float32)
    nothing = np.zeros((2 * parts.language.config.layers, 2, parts.language.config.kv_heads, 0, 8), np.float32)
    lengths, asked = np.array([prefix + 7, prefix + 19]), np.array(3)
    whole = graphs.run(fed(ids, nothing, visual_tokens=seen, lengths=lengths, last=asked))
    for row, length in enumerate(lengths):
        alone = slice(row, row + 1)
        first = graphs.run(fed(ids[alone, :prefix], nothing[:, alone], visual_tokens=seen[alone]))
        assert np.array_equal(first["kv"][:, 0], whole["kv"][:, row, :, :prefix])
        second = graphs.run(fed(ids[alone, prefix:length], first["kv"], last=asked))
        assert np.array_equal(second["kv"][:, 0], whole["kv"][:, row, :, prefix:length])
        for name in ("hidden", "tokens", "logprobs"):
            assert np.array_equal(second[name][0], whole[name][row])


def test_padding_of_the_past_is_not_read(graphs, batch):
    """What lies beyond a row's past length must not matter."""
    inputs = fed([[5], [60], [99]], batch["past_kv"], past_lengths=np.array([6, 2, 3]))
    dirty = batch["past_kv"].copy()
    for row, past in enumerate(inputs["past_lengths"]):
        dirty[:, row, :, past:] = 1e4
    close(graphs.run({**inputs, "past_kv": dirty})["hidden"], graphs.run(inputs)["hidden"])


def test_products_are_the_same_on_a_cpu_without_vnni(parts, batch, tmp_path_factory):
    plain, old = (Graphs(parts, tmp_path_factory.mktemp("cpu"), INT8, without_vnni) for without_vnni in (False, True))
    for name, value in plain.run(batch).items():
        assert np.array_equal(value, old.run(batch)[name])


@pytest.mark.parametrize("precision", [INT8, FLOAT16, INT4])
def test_smaller_weights_stay_near_float32(parts, exact, batch, tmp_path, precision):
    rough = Graphs(parts, tmp_path, precision).run(batch)["hidden"]
    fine = exact.run(batch)["hidden"]
    cosine = (rough * fine).sum(-1) / np.linalg.norm(rough, axis=-1) / np.linalg.norm(fine, axis=-1)
    assert (cosine > 0.8).all()  # 4-bit noise of random weights; a trained bundle reports its own figure
