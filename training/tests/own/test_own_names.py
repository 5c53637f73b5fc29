import numpy as np
import pytest
import torch

from segue_training.model.codes import name_codes
from segue_training.model.config import COCO_NAMES, DecoderConfig
from segue_training.model.generate import Answerer
from segue_training.model.segue_model import SegueModel
from segue_training.model.vision import CenterNet
from segue_training.own.names import add_names
from segue_training.tiny import tiny_parts

PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)


def model(names: tuple[str, ...] = COCO_NAMES) -> SegueModel:
    parts = tiny_parts(seed=5)
    torch.manual_seed(5)
    return SegueModel(CenterNet(len(names)), parts.language, parts.tokenizer, names).eval().requires_grad_(False)


def test_further_codes_leave_the_earlier_ones_as_they_are():
    eighty, more, most = (name_codes(DecoderConfig(classes=classes)) for classes in (80, 82, 85))
    assert torch.equal(more[:80], eighty) and torch.equal(most[:82], more)
    codes = torch.nn.functional.normalize(most, dim=1)
    assert (codes @ codes.T - torch.eye(85)).abs().max() < 0.4


def test_added_names_change_nothing_about_the_first_eighty():
    """Bit for bit the same heatmap channels, and near enough the same answers."""
    before, extended = model(), model()
    add_names(extended, ["valve", "gauge"])
    assert extended.names == (*COCO_NAMES, "valve", "gauge")
    assert extended.decoder_config.classes == 82
    pixels = torch.rand(1, 3, 512, 512) * 255
    a, b = before.encode(pixels), extended.encode(pixels)
    assert torch.equal(a["heatmap"], b["heatmap"][:, :80]) and b["heatmap"].shape[1] == 82
    for name in ("b2", "b5", "c4", "b14", "ltrb", "rgb"):
        assert torch.equal(a[name], b[name])
    prompts = name_codes(before.decoder_config)[:3]
    torch.testing.assert_close(before.decoder.evidence(a, prompts), extended.decoder.evidence(b, prompts), atol=1e-6, rtol=0)
    for said, again in zip(
        *(Answerer(m).answer(Answerer(m).look(PICTURE), ["Segment the cup."]) for m in (before, extended)), strict=True
    ):
        assert said.text == again.text


def test_a_new_name_starts_silent():
    extended = model()
    add_names(extended, ["valve"])
    assert extended.encode(torch.rand(1, 3, 512, 512) * 255)["heatmap"][:, 80].sigmoid().max() < 0.011
    prompts = torch.randn(20, 256)
    assert extended.decoder.query(extended.decoder.normalise(prompts)).softmax(-1)[:, 80].max() < 1e-6


def test_an_extended_model_has_the_shapes_of_one_built_with_its_names():
    extended, built = model(), model((*COCO_NAMES, "valve"))
    add_names(extended, ["valve"])
    shapes = [{name: value.shape for name, value in m.state_dict().items()} for m in (extended, built)]
    assert shapes[0] == shapes[1]
    assert torch.equal(extended.projector.names, built.projector.names)


@pytest.mark.parametrize("names", [["cup"], ["valve", "valve"]])
def test_a_name_is_added_once(names):
    with pytest.raises(ValueError, match=names[0]):
        add_names(model(), names)
