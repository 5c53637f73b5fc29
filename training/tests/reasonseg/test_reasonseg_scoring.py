from pathlib import Path

import numpy as np
import pytest

from reasonseg.answering import Ask, Mode, Reply, Several
from reasonseg.problems import ProblemError
from reasonseg.scoring import Question, score


def mask(*rows: str) -> np.ndarray:
    """'#' is the thing, '?' is ignored."""
    return np.array([[{"#": 1, "?": 255, ".": 0}[c] for c in row] for row in rows], np.uint8)


class Scripted:
    """Answers every question with the masks that are written down for it."""

    def __init__(self, answers: dict[str, list[np.ndarray]]):
        self.answers, self.looked = answers, []

    def describe(self) -> dict[str, str]:
        return {"kind": "scripted"}

    def look(self, picture: Path) -> Ask:
        self.looked.append(picture.name)
        return lambda question: Reply("Sure.", self.answers[question], "scripted@1")


def scored(mode: Mode, several: Several, *cases: tuple[str, np.ndarray, list[np.ndarray]]):
    """Cases: (group, truth, answered masks), a picture each."""
    way = Scripted({f"q{index}": masks for index, (_, _, masks) in enumerate(cases)})
    pictures = [
        (Path(f"{index}.jpg"), [Question(f"q{index}", f"q{index}", group, lambda truth=truth: truth)])
        for index, (group, truth, _) in enumerate(cases)
    ]
    return score(way, mode, several, ("short", "long"), pictures)


def test_giou_is_the_mean_and_ciou_is_pooled_over_all_and_over_each_group():
    scores = scored(
        Mode.TEACHER_FORCED,
        Several.FIRST,
        ("short", mask("##......"), [mask("#.......")]),  # 1 / 2
        ("short", mask("########"), [mask("########")]),  # 8 / 8
        ("long", mask("####...."), [mask("..####..")]),  # 2 / 6
    )
    figures = scores.figures()
    assert figures["short"] == {"masks": 2, "giou": pytest.approx(0.75, abs=1e-4), "ciou": pytest.approx(9 / 10)}
    assert figures["long"] == {"masks": 1, "giou": pytest.approx(1 / 3, abs=1e-4), "ciou": pytest.approx(2 / 6)}
    assert figures["overall"] == {"masks": 3, "giou": pytest.approx(11 / 18, abs=1e-4), "ciou": pytest.approx(11 / 16)}
    assert [(entry.intersection, entry.union) for entry in scores.questions] == [(1, 2), (8, 8), (2, 6)]
    assert scores.model == "scripted@1"


def test_the_small_term_is_in_the_union_of_each_mask_and_of_the_pool():
    figures = scored(Mode.TEACHER_FORCED, Several.FIRST, ("short", mask("#..."), [mask("#...")])).figures()["overall"]
    assert figures["giou"] == 1 / (1 + 1e-5)
    assert figures["ciou"] == 1 / (1 + 1e-10)


def test_ignored_pixels_count_neither_for_nor_against():
    # Inside the ignored part the answer covers two pixels, elsewhere one of the target's two and one too many.
    scores = scored(Mode.TEACHER_FORCED, Several.FIRST, ("short", mask("??##.."), [mask("##.##.")]))
    assert (scores.questions[0].intersection, scores.questions[0].union) == (1, 3)


def test_an_empty_target_is_right_when_found_empty_and_adds_nothing_to_the_pool():
    scores = scored(
        Mode.FREE,
        Several.FIRST,
        ("short", mask("...."), []),  # 1
        ("short", mask("??.."), [mask("##..")]),  # nothing outside the ignored part: 1
        ("short", mask("...."), [mask("##..")]),  # 0 / 2
        ("short", mask("##.."), [mask("##..")]),  # 2 / 2
    )
    assert [round(entry.iou, 4) for entry in scores.questions] == [1, 1, 0, 1]
    assert scores.figures()["overall"] == {"masks": 4, "giou": pytest.approx(0.75, abs=1e-4), "ciou": pytest.approx(2 / 4)}


def test_an_answer_without_a_mask_is_an_empty_mask():
    scores = scored(Mode.FREE, Several.FIRST, ("long", mask("##.."), []), ("long", mask("##.."), [mask("##..")]))
    assert scores.figures()["long"] == {"masks": 2, "giou": pytest.approx(0.5, abs=1e-4), "ciou": pytest.approx(2 / 4)}
    assert dict(scores.answers) == {"no mask": 1, "one mask": 1}


@pytest.mark.parametrize(("several", "pixels"), [(Several.FIRST, (1, 4)), (Several.UNION, (4, 4))])
def test_of_several_masks_the_first_or_all_are_scored(several, pixels):
    answer = [mask("#..."), mask(".##."), mask("...#")]
    scores = scored(Mode.FREE, several, ("short", mask("####"), answer))
    assert (scores.questions[0].intersection, scores.questions[0].union) == pixels
    assert dict(scores.answers) == {"several masks": 1}


@pytest.mark.parametrize("answer", [[], [mask("#..."), mask("#...")]])
def test_teacher_forced_wants_exactly_one_mask(answer):
    with pytest.raises(ProblemError, match=f"{len(answer)} masks instead of one"):
        scored(Mode.TEACHER_FORCED, Several.FIRST, ("short", mask("####"), answer))


def test_masks_of_another_size_are_an_error_and_never_resized():
    with pytest.raises(ProblemError, match=r"0.jpg: the answer's mask is \(1, 2\), the picture \(1, 4\)"):
        scored(Mode.FREE, Several.FIRST, ("short", mask("####"), [mask("##")]))


def test_a_picture_is_looked_at_once_and_its_questions_count_each():
    way = Scripted({"a": [mask("##..")], "b": [mask("..##")]})
    asked = [Question(name, name, "short", lambda: mask("##..")) for name in ("a", "b")]
    scores = score(way, Mode.FREE, Several.FIRST, ("short",), [(Path("p.jpg"), asked)])
    assert way.looked == ["p.jpg"]
    assert scores.figures()["overall"] == {"masks": 2, "giou": pytest.approx(0.5, abs=1e-4), "ciou": pytest.approx(2 / 6)}


def test_groups_without_questions_have_no_figures():
    scores = scored(Mode.FREE, Several.FIRST, ("short", mask("#"), [mask("#")]))
    assert scores.figures()["long"] == {"masks": 0, "giou": None, "ciou": None}
