"""A fine-tuning from end to end, a few steps long, with the tiny language model and an untrained detector."""

import json
import random
import re

import pytest
import torch
from safetensors.torch import load_file

from segue_training.data.augment import augmented_batch
from segue_training.export import command as export
from segue_training.model import segue_model as module
from segue_training.model.checkpoint import load_facts, load_names
from segue_training.model.config import COCO_NAMES, Limits
from segue_training.model.generate import Answer, Answerer
from segue_training.model.segue_model import SegueModel, save_model
from segue_training.model.vision import CenterNet
from segue_training.own import command, finetune
from segue_training.own.bundle import golden_questions, own_parts
from segue_training.own.evaluation import table
from segue_training.own.example_set import write_example_set
from segue_training.own.folder import read_own_data
from segue_training.own.rehearsal import self_annotated
from segue_training.own.train_names import focal_loss, heat
from segue_training.smol.parts import smol_parts
from segue_training.tiny import tiny_parts, tiny_tokenizer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    write_example_set(folder, 5)
    lines = (folder / "questions.jsonl").read_text().splitlines()
    (folder / "questions.jsonl").write_text("\n".join(lines[::4]))
    return folder


@pytest.fixture
def base(tmp_path, monkeypatch):
    parts = tiny_parts(seed=5)
    for where in (module, command):
        monkeypatch.setattr(where, "smollm2_path", lambda: None)
        monkeypatch.setattr(where, "gguf_tokenizer", lambda path: tiny_tokenizer())
    monkeypatch.setattr(module, "load_gguf", lambda path, dtype: tiny_parts(seed=5).language)
    # The tiny tokenizer spells most words out.
    monkeypatch.setattr("segue_training.own.questions.LIMITS", Limits(max_question_tokens=600, max_new_tokens=600))
    monkeypatch.setattr("segue_training.own.language._ROW", 500)
    monkeypatch.setattr("segue_training.own.train_names._VIEWS", 6)
    monkeypatch.setattr("segue_training.model.generate._MAX_TOKENS", 3)
    monkeypatch.setattr("segue_training.own.evaluation.EXAMPLES", tmp_path / "no-examples")
    torch.manual_seed(0)
    model = SegueModel(CenterNet(), parts.language, parts.tokenizer).eval()
    save_model(model, tmp_path / "base.safetensors", {"evaluation": {"model": {}}, "outliers": {"0.qkv": [1]}})
    return tmp_path / "base.safetensors"


def run(base, data, out, *more: str) -> None:
    command.main(["--data", str(data), "--out", str(out), "--base", str(base), *more])


def test_a_short_run_writes_a_model_with_the_new_names(base, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(finetune, "_ALL", 1)
    run(base, data, tmp_path / "out", "--minutes", "30")
    said = capsys.readouterr().out
    assert "new names: valve, gauge" in said and "| your questions |" in said
    path = tmp_path / "out" / "model.safetensors"
    assert set(load_names(path)[80:]) == {"valve", "gauge"}
    facts = load_facts(path)
    assert "evaluation" not in facts and facts["outliers"] == {"0.qkv": [1]}  # the base's figures do not hold any more
    assert facts["own"]["pictures"] == 5 and set(facts["own"]["box_iou"]) == {"valve", "gauge"}
    assert facts["own"] == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    before, after = load_file(base), load_file(path)
    for name in (
        "vision.class_head.pointwise.weight",
        "vision.class_head.pointwise.bias",
        "decoder.query.2.weight",
        "decoder.query.2.bias",
    ):
        assert torch.equal(after[name][:80], before[name]) and len(after[name]) == 82, name
        assert after[name][80:].abs().max() > 0
    frozen = [
        name for name in before if (name.startswith("vision.") and "pointwise" not in name) or name.startswith("decoder.relation")
    ]
    assert frozen and all(torch.equal(after[name], before[name]) for name in frozen)
    trained = (
        "decoder.view.coarse.weight",
        "decoder.refiner.out.3.bias",
        "text_hidden_fcs.0.weight",
        "language.layers.0.qkv.lora_a",
    )
    assert all(not torch.equal(after[name], before[name]) for name in trained)


def test_check_says_what_was_read_and_writes_nothing(base, data, tmp_path, capsys):
    run(base, data, tmp_path / "out", "--check")
    assert "4 pictures to train on, 1 to measure" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_broken_data_end_the_command_before_anything_is_loaded(base, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "load_model", lambda path: pytest.fail("the data come first"))
    write_example_set(tmp_path / "own", 6)
    (tmp_path / "own" / "images" / "site-02.jpg").unlink()
    with pytest.raises(SystemExit, match="images/site-02.jpg is not there"):
        run(base, tmp_path / "own", tmp_path / "out")


def test_a_missing_base_is_said(data, tmp_path):
    with pytest.raises(SystemExit, match="--base"):
        run(tmp_path / "none.safetensors", data, tmp_path / "out")


def test_the_base_is_not_overwritten(base, data, tmp_path):
    (tmp_path / "out").mkdir()
    base.rename(tmp_path / "out" / "model.safetensors")
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    with pytest.raises(SystemExit, match="name another folder with --out"):
        run(tmp_path / "out" / "model.safetensors", data, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


def test_too_little_time_is_said(base, data, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "measure", lambda *given, **options: {})
    with pytest.raises(SystemExit, match="--minutes"):
        run(base, data, tmp_path / "out", "--minutes", "0.5")


def test_a_checkpoint_becomes_a_bundle_of_its_own_name(base, data, tmp_path):
    own = {
        "pictures": 6,
        "questions": 9,
        "categories": ["valve"],
        "new": ["valve"],
        "before": {},
        "after": {"absent": {"refused": 0.9}},
    }
    save_model(module.load_model(base), tmp_path / "model.safetensors", {"own": own})
    model = module.load_model(tmp_path / "model.safetensors")
    parts = own_parts(model, {"own": own}, "my-model")
    assert re.search(parts.phrase_pattern, "The pressure gauge ")[0] == "The pressure gauge "
    assert parts.name == "my-model" and "valve" in parts.description and not parts.quality
    assert "- before, 0.9 after" in parts.training.values() or "- before, 0.9 after" in str(parts.training)
    with pytest.raises(ValueError, match="--data"):
        smol_parts(tmp_path / "model.safetensors", "my-model")
    with pytest.raises(SystemExit, match="--data"):
        export.main(["smol", "--checkpoint", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "my-model")])
    with pytest.raises(ValueError, match="lower-case"):
        own_parts(model, {"own": own}, "My Model")
    with pytest.raises(ValueError, match="without --data"):
        own_parts(model, {}, "my-model")


def test_heat_is_one_at_centres_and_silent_where_nobody_knows(data):
    photos = read_own_data(data, COCO_NAMES, tiny_tokenizer()).photos
    frame = augmented_batch([photos[0]], random.Random(3))[0]
    target, counts = heat(frame, range(80, 82))
    for label in (80, 81):
        assert int((target[label - 80] == 1).sum()) == frame.labels.count(label)
    assert counts.tolist() == [1.0, 1.0]
    frame.unsure |= {80}
    frame.labels = [label for label in frame.labels if label != 80]
    frame.masks = frame.masks[: len(frame.labels)]
    assert heat(frame, range(80, 82))[1].tolist() == [0.0, 1.0]


def test_focal_loss_wants_centres_high_and_the_rest_low():
    target = torch.tensor([[1.0], [0.5], [0.0]])
    right, wrong = torch.tensor([[6.0], [0.0], [-6.0]]), torch.tensor([[-6.0], [0.0], [6.0]])
    counts = torch.ones(3, 1)
    assert focal_loss(right, target, counts) < 0.1 < focal_loss(wrong, target, counts)
    assert focal_loss(wrong, target, counts * 0) == 0


def test_what_the_model_is_sure_of_is_annotated_but_not_twice(base, data):
    """A detector that sees one clock in a corner, and a decoder that draws a square there."""
    photo = read_own_data(data, COCO_NAMES, tiny_tokenizer()).photos[0]
    model, clock = module.load_model(base), COCO_NAMES.index("clock")
    heatmap = torch.full((1, 80, 128, 128), -8.0)
    heatmap[0, clock, 5, 5] = 3.0

    def encode(pixels):
        return {**SegueModel.encode(model, pixels), "heatmap": heatmap}

    square = torch.full((1, 512, 512), -5.0)
    square[:, :40, :40] = 5.0
    model.encode = encode
    model.decoder.answer = lambda features, prompts, size: (square, torch.tensor([[1.0, 4.0, 4.0, 0.0, 0.0]]))
    seen = self_annotated(model, photo)
    (added,) = [thing for thing in seen.instances if thing.id < 0]
    assert added.label == clock and added.box[:2] == (0, 0) and clock not in seen.unsure
    assert clock in photo.unsure and len(photo.instances) == len(seen.instances) - 1
    assert [t.id for t in self_annotated(model, seen).instances] == [t.id for t in seen.instances]


def test_the_table_says_before_and_after():
    before, after = {"absent": {"questions": 2, "refused": 1.0}}, {"absent": {"questions": 2, "refused": 0.5}}
    assert "| things that are not there | 2 | refused | 1.0 | 0.5 |" in table(before, after)


def test_golden_questions_are_those_that_are_answered_without_hesitating(base, data, monkeypatch):
    def answer(self, picture, questions):
        return [Answer("It is <SEG>.", torch.zeros(1, 256), [-len(question) / 100]) for question in questions]

    monkeypatch.setattr(Answerer, "answer", answer)
    chosen = golden_questions(module.load_model(base), data)
    asked = [json.loads(line) for line in (data / "questions.jsonl").read_text().splitlines()]
    lengths = sorted(len(line["question"]) for line in asked if "history" not in line)
    assert [len(question.question) for question in chosen] == lengths[:5]
    assert all(question.picture.exists() for question in chosen)
    monkeypatch.setattr(
        Answerer, "answer", lambda self, picture, questions: [Answer("No.", torch.zeros(0, 256), [])] * len(questions)
    )
    with pytest.raises(ValueError, match="for longer"):
        golden_questions(module.load_model(base), data)


def test_half_way_is_the_mean_of_before_and_after():
    layer = torch.nn.Linear(2, 1)
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    with torch.no_grad():
        layer.weight += 2
    finetune.go_half_way(layer, before)
    torch.testing.assert_close(layer.weight.detach(), before["weight"] + 1)
    torch.testing.assert_close(layer.bias.detach(), before["bias"])
