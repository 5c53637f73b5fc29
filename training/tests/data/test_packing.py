import pytest
import torch

from segue_training.data.packing import draw_to_fit, pack
from segue_training.data.scene import Question
from segue_training.tiny import tiny_parts

VISUAL = 5


@pytest.fixture(scope="module")
def parts():
    return tiny_parts(seed=3)


def questions() -> list[Question]:
    return [
        Question("explicit", "the cup", "It is the cup <SEG>.", [(41, 0)]),
        Question("absent", "a dog?", "There is no dog in this image."),
        Question("several", "both", "It is the cup <SEG> and the fork <SEG>.", [(41, 0), (42, 0)]),
    ]


def states(parts, row: list[Question], length: int) -> tuple[torch.Tensor, object]:
    packed = pack(parts.tokenizer, [row], VISUAL, length)
    with torch.no_grad():
        hidden, _ = parts.language(parts.language.embed(packed.ids), packed.positions, packed.bias)
    assert hidden.isfinite().all()
    return hidden.flatten(0, 1), packed


def test_a_question_in_a_row_is_like_a_question_alone(parts):
    together, packed = states(parts, questions(), 400)
    start = 0
    for question in questions():
        alone, single = states(parts, [question], 400)
        count = len(single.predicts)
        torch.testing.assert_close(together[packed.predicts[start : start + count]], alone[single.predicts], atol=1e-4, rtol=1e-4)
        assert packed.labels[start : start + count].tolist() == single.labels.tolist()
        start += count


def test_seg_states_are_those_that_predict_the_token(parts):
    _, packed = states(parts, questions(), 400)
    flat = packed.ids.flatten()
    assert (flat[packed.seg + 1] == parts.tokenizer.seg).all()
    assert packed.targets.tolist() == [[41, 0, -1], [41, 0, -1], [42, 0, -1]]
    assert packed.single_targets.tolist() == [[41, 0, -1]]
    assert packed.first.sum() == 3
    assert (packed.labels == flat[packed.predicts + 1]).all()


def test_questions_are_drawn_as_long_as_they_fit(parts):
    question = questions()[0]
    drawn = draw_to_fit(parts.tokenizer, lambda: question, 200)
    length = len(pack(parts.tokenizer, [drawn], VISUAL, 400).predicts)
    assert drawn and length < 200
