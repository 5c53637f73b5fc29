import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reasonseg.annotation import read_annotation
from reasonseg.problems import ProblemError


def shape(label: str, *points: tuple[float, float]) -> dict:
    return {"label": label, "points": [list(point) for point in points]}


def square(label: str, x1: float, y1: float, x2: float, y2: float) -> dict:
    return shape(label, (x1, y1), (x2, y1), (x2, y2), (x1, y2))


def read(tmp_path: Path, *shapes: dict, encoding: str = "utf-8", **keys):
    content = {"text": ["the thing"], "is_sentence": False, "shapes": list(shapes), **keys}
    (tmp_path / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    return read_annotation(tmp_path / "a.json")


def drawn(mask: np.ndarray) -> list[str]:
    return ["".join({0: ".", 1: "#", 255: "?"}[value] for value in row) for row in mask.tolist()]


def test_the_first_text_is_the_query(tmp_path):
    annotation = read(tmp_path, square("target", 1, 1, 2, 2), text=[" something to sit on ", "a rephrasing"], is_sentence=True)
    assert (annotation.query, annotation.is_sentence) == ("something to sit on", True)
    assert read(tmp_path, is_sentence=False).is_sentence is False


def test_what_is_not_utf8_is_cp1252(tmp_path):
    assert read(tmp_path, text=["the café’s sign"]).query == "the café’s sign"
    assert read(tmp_path, text=["the café’s sign"], encoding="cp1252").query == "the café’s sign"


def test_a_polygon_covers_its_outline(tmp_path):
    # From pixel 1 to pixel 3 are three pixels, though the distance is two.
    assert drawn(read(tmp_path, square("target", 1, 1, 3, 3)).paint(5, 5)) == [".....", ".###.", ".###.", ".###.", "....."]


def test_points_are_cut_to_whole_pixels_not_rounded(tmp_path):
    assert drawn(read(tmp_path, square("target", -0.9, 0.9, 2.9, 1.9)).paint(3, 5)) == ["###..", "###..", "....."]


def test_thin_polygons_are_painted_as_by_the_version_that_lisa_pins(tmp_path):
    # OpenCV 4.11 and later leave out the pixel at x=1, y=1.
    mask = read(tmp_path, shape("target", (0, 0), (0, 1), (1, 2))).paint(3, 3)
    assert drawn(mask) == ["#..", "##.", ".#."]


def test_lines_and_points_are_painted_too(tmp_path):
    assert drawn(read(tmp_path, shape("target", (1, 1), (3, 1)), shape("target", (0, 2))).paint(3, 5)) == [
        ".....",
        ".###.",
        "#....",
    ]


def test_filling_alone_paints_what_outline_and_filling_do(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width, corners = rng.integers(5, 60, 3)
        points = rng.uniform(-5, 65, (corners // 5 + 1, 2))
        expected = np.zeros((height, width), np.uint8)
        cv2.polylines(expected, np.array([points], np.int32), True, 1, 1)
        cv2.fillPoly(expected, np.array([points], np.int32), 1)
        found = read(tmp_path, {"label": "target", "points": points.tolist()}).paint(height, width)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("label", ["ignore", "Ignore", "to be IGNORED"])
def test_ignored_regions_are_255(tmp_path, label):
    assert drawn(read(tmp_path, square(label, 0, 0, 1, 0)).paint(2, 3)) == ["??.", "..."]


@pytest.mark.parametrize("label", ["target", "the cat", "flags", "fl\u00e4g"])
def test_every_other_label_is_the_target(tmp_path, label):
    assert drawn(read(tmp_path, square(label, 0, 0, 1, 0)).paint(2, 3)) == ["##.", "..."]


@pytest.mark.parametrize("label", ["flag", "FLAG", "Flag"])
def test_flags_are_left_out(tmp_path, label):
    assert read(tmp_path, square(label, 0, 0, 2, 1)).shapes == ()
    assert drawn(read(tmp_path, square("target", 0, 0, 1, 0), square(label, 0, 0, 2, 1)).paint(2, 3)) == ["##.", "..."]


def test_small_polygons_lie_over_large_ones_whatever_their_order(tmp_path):
    large, small = square("target", 0, 0, 4, 2), square("ignore", 1, 1, 2, 1)
    expected = ["#####", "#??##", "#####"]
    assert drawn(read(tmp_path, large, small).paint(3, 5)) == expected
    assert drawn(read(tmp_path, small, large).paint(3, 5)) == expected
    large, small = square("ignore", 0, 0, 4, 2), square("target", 1, 1, 2, 1)
    assert drawn(read(tmp_path, small, large).paint(3, 5)) == ["?????", "?##??", "?????"]


def test_size_is_what_lies_inside_the_picture(tmp_path):
    # The target's 40 x 3 pixels are mostly outside: 2 x 3 are inside, fewer than the ignored 4 x 3.
    mask = read(tmp_path, square("target", 3, 0, 42, 2), square("ignore", 1, 0, 4, 2)).paint(3, 5)
    assert drawn(mask) == [".??##"] * 3


def test_of_equally_large_polygons_the_first_lies_on_top(tmp_path):
    first, second = square("target", 0, 0, 2, 1), square("ignore", 1, 0, 3, 1)
    assert drawn(read(tmp_path, first, second).paint(2, 5)) == ["###?."] * 2
    assert drawn(read(tmp_path, second, first).paint(2, 5)) == ["#???."] * 2


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"\x81\xff"', "neither utf-8 nor cp1252 text"),
        (b'{"text": [], "is_sentence": true, "shapes": []}', "`text`"),
        (b'{"text": "a cat", "is_sentence": true, "shapes": []}', "`text`"),
        (b'{"text": [" "], "is_sentence": true, "shapes": []}', "`text`"),
        (b'{"text": ["a"], "shapes": []}', "`is_sentence` is missing"),
        (b'{"text": ["a"], "is_sentence": true}', "`shapes` is not a list"),
        (b'{"text": ["a"], "is_sentence": true, "shapes": [{"points": [[1, 2]]}]}', "shape 1 has no `label`"),
        (
            b'{"text": ["a"], "is_sentence": true, "shapes": [{"label": "t", "points": []}]}',
            r"shape 1 \(t\) has no usable `points`",
        ),
        (b'{"text": ["a"], "is_sentence": true, "shapes": [{"label": "t"}]}', "no usable `points`"),
        (b'{"text": ["a"], "is_sentence": true, "shapes": [{"label": "t", "points": [[1], [1, 2]]}]}', "no usable `points`"),
        (b'{"text": ["a"], "is_sentence": true, "shapes": [{"label": "t", "points": [[NaN, 2]]}]}', "no usable `points`"),
    ],
)
def test_broken_annotations_say_what_is_wrong_and_what_to_do(tmp_path, content, what):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ProblemError, match=what) as caught:
        read_annotation(tmp_path / "a.json")
    assert caught.value.problems[0].file.endswith("a.json")
    assert caught.value.problems[0].advice
