import numpy as np
import pytest

from segue_training.data.photos import Instance, Photo, encode
from segue_training.evaluate.open_questions import OpenQuestion, best_iou, load, measure, summary
from segue_training.model.config import COCO_NAMES


def photo(*boxes: tuple[int, str, int, int]) -> Photo:
    """A photo of 40 x 10 with things (id, class, from x, to x)."""
    made = Photo(1, None, 40, 10)
    for number, name, left, right in boxes:
        mask = encode([[left, 0, right, 0, right, 10, left, 10]], 10, 40)
        made.instances.append(Instance(number, COCO_NAMES.index(name), mask, 0.1, (left, 0, right, 10), False))
    return made


SHOWN = photo((1, "cup", 0, 10), (2, "cup", 10, 20), (3, "bowl", 30, 40))


def column(left: int, right: int) -> np.ndarray:
    mask = np.zeros((10, 40), np.uint8)
    mask[:, left:right] = 1
    return mask


def test_one_all_of_a_kind_and_all_together_are_right():
    truths = OpenQuestion(1, "need", "What could I drink from?", of=["cup", "bowl"]).truths(SHOWN)
    for masks in (
        [column(0, 10)],
        [column(0, 20)],
        [column(0, 20), column(30, 40)],
        [column(0, 10), column(10, 20)],
        [column(30, 40)],
    ):
        assert best_iou(np.stack(masks), truths) == 1.0
    assert best_iou(np.stack([column(10, 40)]), truths) == 0.5
    assert best_iou(np.zeros((0, 10, 40), np.uint8), truths) == 0


def test_where_one_is_meant_no_other_counts():
    truths = OpenQuestion(1, "which", "the left cup", ids=[1]).truths(SHOWN)
    assert best_iou(np.stack([column(10, 20)]), truths) == 0 and best_iou(np.stack([column(0, 20)]), truths) == 0.5


def test_a_question_about_what_the_photo_lacks_is_an_error():
    with pytest.raises(ValueError, match="photo 1 has none of"):
        OpenQuestion(1, "kind", "Where is the animal?", of=["cat"]).truths(SHOWN)


def test_the_questions_are_many_and_about_known_things():
    questions, examples = load()
    assert len(questions) >= 150 and {photo.path.name for photo in examples} == {"cat.jpg", "coffee.jpg", "astronaut.jpg"}
    assert {q.kind for q in questions} == {"kind", "need", "which", "all", "why", "plain", "foreign", "nothing"}
    assert all(name in COCO_NAMES for question in questions for name in question.of)
    assert all(bool(q.of or q.ids) != (q.kind in ("nothing", "foreign")) for q in questions)
    by_name = {photo.path.name: photo for photo in examples}
    for question in questions:
        if question.photo in by_name and question.of:
            assert all(truth.any() for truth in question.truths(by_name[question.photo]))


def test_an_answer_without_a_mask_is_right_where_nothing_is():
    _, examples = load()

    def silent(_):
        return lambda _: ("There is nothing.", np.zeros((0, 0, 0), np.uint8))

    cat = next(photo for photo in examples if photo.path.name == "cat.jpg")
    questions = [q for q in load()[0] if q.photo == "cat.jpg"]
    figures, answers = measure(silent, [cat], questions)
    assert figures["nothing there"]["right"] == 1.0 and figures["open"]["right"] == 0.0 and len(answers) == len(questions)
    assert summary(answers) == figures
