import random

import pytest

from segue_training.data import kinds as kinds_module
from segue_training.data.bank import load_things
from segue_training.data.kind_questions import KindQuestions, with_article
from segue_training.data.kinds import load_kinds
from segue_training.data.scene import SEG, Scene
from segue_training.model.config import COCO_NAMES, RELATIONS

THINGS = load_things()
NAMES = [thing.name for thing in THINGS]
KINDS = {kind.name: kind for kind in load_kinds(THINGS)}
CAT, COUCH, TEDDY, APPLE, BANANA, CUP, PERSON = (
    COCO_NAMES.index(name) for name in ("cat", "couch", "teddy bear", "apple", "banana", "cup", "person")
)
ALL, ONE = RELATIONS.index("all"), RELATIONS.index("one")


@pytest.fixture(scope="module")
def maker():
    return KindQuestions(NAMES, list(KINDS.values()))


def ask(maker, kind: str, scene: Scene, wanted: str = "", count: int = 200):
    rng = random.Random(0)
    drawn = [maker.ask(KINDS[kind], scene, rng) for _ in range(count)]
    return next(question for question in drawn if wanted in question.text)


def test_every_kind_is_complete():
    for kind in KINDS.values():
        assert kind.of and all(kind.why) and bool(kind.nouns) != bool(kind.need), kind.name
        assert kind.nouns or len(kind.questions) >= 4 * len(kind.test_questions) - 3, kind.name
        assert not set(kind.questions) & set(kind.test_questions), kind.name
        assert any(NAMES[thing] in COCO_NAMES for thing in kind.of), kind.name


def test_an_unknown_name_in_the_file_is_named(monkeypatch):
    monkeypatch.setattr(kinds_module, "lines_of", lambda _: ["animal", "of: cat, unicorn"])
    with pytest.raises(ValueError, match="'unicorn'"):
        load_kinds(THINGS)


def test_one_of_a_kind_is_named(maker):
    question = ask(maker, "animal", Scene({COUCH: 1, CAT: 1}, []))
    assert question.answer.startswith(f"It is the cat {SEG}.") and question.targets == [(CAT, ONE)]


def test_several_of_a_kind_get_a_mask_each(maker):
    question = ask(maker, "eat", Scene({APPLE: 1, COUCH: 1, BANANA: 1}, []), "What could I eat?")
    assert question.answer == f"I see the apple {SEG} and the banana {SEG}." and question.targets == [(APPLE, ONE), (BANANA, ONE)]


def test_all_of_a_kind_are_one_mask_where_all_are_asked_for(maker):
    scene = Scene({APPLE: 3}, [])
    many = ask(maker, "eat", scene, "Which things here are eatable?")
    assert many.answer.startswith(f"They are the apples {SEG}.") and many.targets == [(APPLE, ALL)]
    assert ask(maker, "eat", scene, "What could I eat?").targets == [(APPLE, ONE)]


def test_none_of_a_kind_is_said_with_what_is_there(maker):
    scene = Scene({COUCH: 1, CUP: 1}, [])
    assert ask(maker, "eat", scene).answer == "There is nothing to eat in this image. I see a couch and a cup."
    assert ask(maker, "sign", scene, "road signs").answer == "There is no road sign in this image. I see a couch and a cup."


def test_nothing_is_said_about_a_kind_that_an_unclear_or_doubtful_thing_might_belong_to(maker):
    """A tiny cat is an animal all the same; a toilet is a seat to some."""
    rng = random.Random(0)
    toilet = COCO_NAMES.index("toilet")
    texts = [maker.kind(Scene({COUCH: 1, toilet: 1}, [], unclear=[CAT]), rng) for _ in range(400)]
    answers = " ".join(question.answer for question in texts if question)
    assert "no animal" not in answers and "nothing to sit on" not in answers and "no vehicle" in answers
    assert not any(question.targets and "seat" in question.text for question in texts if question)


def test_a_reason_fits_number_and_kind(maker):
    rng = random.Random(0)
    drawn = [maker.ask(KINDS["fruit"], Scene({APPLE: 1, BANANA: 1}, []), rng) for _ in range(300)]
    assert {question.answer.partition(f"{SEG}. ")[2] for question in drawn} == {"", "They are fruits."}


def test_unseen_forms_are_never_drawn_in_training(maker):
    rng, scene = random.Random(0), Scene({CAT: 1, COUCH: 2, APPLE: 2, CUP: 1}, [])
    seen = {maker.kind(scene, rng).text for _ in range(4000)}
    unseen = {maker.ask(kind, scene, rng, test=True).text for kind in KINDS.values() for _ in range(20)}
    assert not seen & unseen


def test_everything_but_one_leaves_it_out(maker):
    rng = random.Random(0)
    drawn = [maker.everything(Scene({CAT: 1, COUCH: 1, CUP: 3}, []), rng) for _ in range(200)]
    but = next(question for question in drawn if "except the cups" in question.text)
    assert but.answer == f"I see the cat {SEG} and the couch {SEG}."
    whole = next(question for question in drawn if len(question.targets) == 3)
    assert whole.answer == f"I see the cat {SEG}, the couch {SEG} and the cups {SEG}." and whole.targets[2] == (CUP, ALL)


def test_each_of_several_is_told_apart_from_the_left(maker):
    question = maker.each(Scene({CUP: 3, COUCH: 1}, []), random.Random(0))
    assert question.answer == f"I see the first cup {SEG}, the second cup {SEG} and the third cup {SEG}."
    assert [RELATIONS[relation] for _, relation in question.targets] == ["left", "second_left", "third_left"]


def test_articles():
    assert with_article("I am looking for a {}.", "animal") == "I am looking for an animal."
    assert with_article("Is there a {}? Where?", "furniture") == "Is there furniture? Where?"
    assert with_article("a {}", "piece of cutlery") == "piece of cutlery"
