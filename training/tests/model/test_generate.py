import numpy as np
import pytest
import torch

from segue_training.model import generate
from segue_training.model.generate import Answerer
from segue_training.model.segue_model import SegueModel
from segue_training.model.vision import CenterNet
from segue_training.tiny import tiny_parts

QUESTIONS = ["Segment the cup.", "dog", "What here could keep me dry in the rain?"]


@pytest.fixture(scope="module")
def answerer() -> Answerer:
    parts = tiny_parts(seed=5)
    torch.manual_seed(5)
    model = SegueModel(CenterNet(), parts.language, parts.tokenizer).eval().requires_grad_(False)
    return Answerer(model)


@pytest.fixture(scope="module")
def picture(answerer):
    return answerer.look(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))


def test_questions_answered_together_are_answered_as_alone(answerer, picture):
    together = answerer.answer(picture, QUESTIONS)
    for question, answer in zip(QUESTIONS, together, strict=True):
        alone = answerer.answer(picture, [question])[0]
        assert alone.text == answer.text
        torch.testing.assert_close(alone.prompts, answer.prompts, atol=1e-3, rtol=1e-3)
    assert len({answer.text for answer in together}) > 1


def test_the_state_before_an_answer_is_read_without_the_padding(answerer, picture):
    together = answerer.prompts_only(picture, QUESTIONS)
    assert together.shape == (3, 256)
    for i, question in enumerate(QUESTIONS):
        torch.testing.assert_close(answerer.prompts_only(picture, [question])[0], together[i], atol=1e-3, rtol=1e-3)


def test_the_cached_picture_gives_what_a_whole_prompt_gives(answerer, picture):
    model, tokenizer = answerer.model, answerer.model.tokenizer
    before = torch.tensor(tokenizer.encode(tokenizer.template.image_prefix))
    behind = torch.tensor(tokenizer.question_ids(QUESTIONS[0]))
    parts = [model.language.embed(before)[None], model.visual_tokens(picture.features), model.language.embed(behind)[None]]
    hidden, _ = model.language(torch.cat(parts, 1))
    expected = model.text_hidden_fcs(hidden[0, -1])
    torch.testing.assert_close(answerer.prompts_only(picture, QUESTIONS[:1])[0], expected, atol=1e-3, rtol=1e-3)


def test_the_written_words_are_those_of_a_pass_without_caches(answerer, picture, monkeypatch):
    monkeypatch.setattr(generate, "_MAX_TOKENS", 8)
    model, tokenizer = answerer.model, answerer.model.tokenizer
    before = model.language.embed(torch.tensor(tokenizer.encode(tokenizer.template.image_prefix)))[None]
    for question, answer in zip(QUESTIONS, answerer.answer(picture, QUESTIONS), strict=True):
        behind, written = tokenizer.question_ids(question), []
        for _ in range(8):
            words = model.language.embed(torch.tensor(behind + written))[None]
            hidden, _ = model.language(torch.cat([before, model.visual_tokens(picture.features), words], 1))
            written.append(int(model.language.logits(hidden[0, -1]).argmax()))
        ended = written.index(tokenizer.end) if tokenizer.end in written else len(written)
        assert tokenizer.decode(written[:ended]) == answer.text


def test_the_refusal_bias_moves_the_margin_one_to_one(answerer, picture):
    before = answerer.refusal_margins(picture, QUESTIONS)
    answerer.model.refusal_bias.fill_(3.0)
    after = answerer.refusal_margins(picture, QUESTIONS)
    answerer.model.refusal_bias.zero_()
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([3.0] * 3, abs=1e-4)


def test_masks_have_the_pictures_own_size(answerer, picture):
    assert answerer.masks(picture, torch.randn(2, 256)).shape == (2, 60, 80)
    assert answerer.masks(picture, torch.zeros(0, 256)).shape == (0, 60, 80)
