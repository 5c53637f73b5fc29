import random

import pytest

from segue_training.data.bank import article, join, load_follow_ups, load_things, plural
from segue_training.data.questions import ONLY_ENGLISH, QuestionMaker
from segue_training.data.scene import SEG, Scene
from segue_training.model.config import COCO_NAMES, COLOURS, RELATIONS, ZERO_SHOT

THINGS = load_things()
SCENE = Scene(
    {0: 3, 41: 1, 17: 2, 55: 1}, absent=[5, 16, 24, 61], hinted=[5], neighbours={16: {17}}, captions=["A horse with a cup."]
)


@pytest.fixture(scope="module")
def drawn():
    maker, rng = QuestionMaker(THINGS, load_follow_ups(THINGS)), random.Random(0)
    return [maker.draw(SCENE, rng) for _ in range(3000)]


def test_every_class_is_described():
    assert [thing.name for thing in THINGS[:80]] == list(COCO_NAMES)
    for thing in THINGS[:80]:
        assert len(thing.test_questions) >= 2, thing.name
        assert thing.reason.endswith("."), thing.name
        assert thing.reasoned and not thing.held_out
        assert not set(thing.questions) & set(thing.test_questions)


def test_own_names_follow_the_eighty_and_take_what_is_known_of_them():
    things = load_things((*COCO_NAMES, "widget", "hammer"))
    assert [thing.name for thing in things[80:82]] == ["widget", "hammer"]
    assert things[81].reasoned and not things[80].reasoned
    assert len({thing.name for thing in things}) == len(things) == len(THINGS) + 1


def test_follow_ups_lean_on_an_earlier_turn(drawn):
    found = [question for question in drawn if question.kind == "follow_up"]
    assert all(question.history for question in found)
    assert {len(question.targets) for question in found} == {0, 1}


def test_each_seg_token_has_a_target_and_refusals_have_none(drawn):
    for question in drawn:
        assert question.answer.count(SEG) == len(question.targets), question
        if "There is no" in question.answer and question.kind != "partly":
            assert not question.targets
        for thing, relation, *landmark in question.targets:
            assert thing in SCENE.present and 0 <= relation < len(RELATIONS)
            assert bool(landmark) == (RELATIONS[relation] == "near") and set(landmark) <= set(SCENE.present) - {thing}


def test_all_kinds_are_drawn_and_name_what_they_point_at(drawn):
    kinds = {question.kind for question in drawn}
    assert kinds == {
        "explicit",
        "absent",
        "reasoning",
        "reasoning_absent",
        "referring",
        "plural",
        "several",
        "partly",
        "vqa",
        "follow_up",
        "kind",
        "kind_absent",
        "everything",
        "each",
        "foreign",
        "scenery",
    }
    plurals = [question for question in drawn if question.kind == "plural"]
    assert all(question.targets[0][1] == RELATIONS.index("all") for question in plurals)
    assert any(question.history for question in drawn)


def test_test_questions_stay_unseen(drawn):
    unseen = {text.lower().rstrip("?") for thing in THINGS for text in thing.test_questions}
    for question in drawn:
        assert not any(text in question.text.lower() for text in unseen), question.text


def test_no_reasoning_beside_a_held_out_class():
    """Else it would be learnt that a cat is never what a question is about."""
    maker, rng = QuestionMaker(load_things(held_out=ZERO_SHOT), []), random.Random(0)
    kinds = {maker.draw(Scene({0: 1, COCO_NAMES.index("cat"): 1}, absent=[16]), rng).kind for _ in range(1000)}
    assert "reasoning" not in kinds and {"explicit", "absent", "vqa"} <= kinds


def test_nothing_plausible_is_refused(drawn):
    """A dog is not refused by reasoning while a horse, of its kind, is there."""
    refused = {question.answer.partition(".")[0] for question in drawn if question.kind == "reasoning_absent"}
    assert "There is no dog in this image" not in refused
    assert refused


def test_a_refusal_says_what_is_there_instead(drawn):
    """Things of the asked one's kind first, then the largest."""
    answers = {question.answer for question in drawn if question.kind == "absent"}
    assert "There is no dog in this image. I see a horse, a person and a cup." in answers
    assert "There is no bed in this image." not in answers


def test_what_is_asked_for_a_reason_gets_the_property_that_was_asked_about(drawn):
    explained = [q for q in drawn if q.kind == "reasoning" and q.answer.count(".") > 1]
    assert explained
    for question in explained:
        thing = THINGS[question.targets[0][0]]
        reason = question.answer.partition(f"{SEG}. ")[2]
        assert reason == thing.reason or any(
            words in reason and words.lower() in question.text.lower() for words in thing.uses + thing.descriptions
        )


def test_other_languages_are_told_that_only_english_is_read(drawn):
    assert {question.answer for question in drawn if question.kind == "foreign"} == {ONLY_ENGLISH}


def test_a_model_with_fewer_relations_is_not_asked_for_the_others():
    """Fine-tuning goes on from models that were trained before there were colours."""
    few = RELATIONS[:9]
    maker, rng = QuestionMaker(THINGS, load_follow_ups(THINGS), relations=few), random.Random(0)
    drawn = [maker.draw(SCENE, rng) for _ in range(2000)]
    assert {relation for q in drawn for _, relation, *_ in q.targets} == set(range(9))
    assert not any(f"the {colour} " in q.text for q in drawn for colour in COLOURS if q.kind == "referring")


def test_words():
    assert [plural(name) for name in ("person", "bus", "bench", "knife", "cup", "puppy")] == [
        "people",
        "buses",
        "benches",
        "knives",
        "cups",
        "puppies",
    ]
    assert (article("apple"), article("cup"), article("skis")) == ("an apple", "a cup", "skis")
    assert join(["a", "b", "c"]) == "a, b and c" and join(["a"]) == "a"
