import torch

from segue_training.model.codes import PromptCodes
from segue_training.model.config import COCO_NAMES, RELATIONS
from segue_training.model.segue_model import SegueModel
from segue_training.model.vision import CenterNet
from segue_training.tiny import tiny_parts
from segue_training.train.widen import widen_relations


def test_a_model_of_nine_relations_learns_to_read_all_and_keeps_its_masks():
    parts = tiny_parts(seed=5)
    model = SegueModel(CenterNet(80), parts.language, parts.tokenizer, COCO_NAMES, RELATIONS[:9])
    view = {name: value.clone() for name, value in model.decoder.view.state_dict().items()}
    figures = widen_relations(model, steps=400)
    assert min(figures.values()) > 0.95, figures
    assert model.decoder.config == model.decoder_config and model.decoder_config.relations == RELATIONS
    assert all(torch.equal(value, view[name]) for name, value in model.decoder.view.state_dict().items())
    codes = PromptCodes(model.decoder_config)
    prompts = codes(torch.tensor([41, 41]), torch.tensor([RELATIONS.index("near"), 0]), torch.tensor([63, -1]))
    read = model.decoder.landmark(model.decoder.normalise(prompts)).argmax(-1)
    assert read.tolist() == [1 + 63, 0]
