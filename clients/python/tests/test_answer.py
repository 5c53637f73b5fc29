"""What people do with an answer, of one that the service gave with random weights."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import PHOTO
from PIL import Image

from segue_client import Answer, Client, Segment, Turn, rle
from segue_client.display import COLOURS


@pytest.fixture(scope="module")
def answer(url: str) -> Answer:
    with Client(url) as client:
        return client.ask(PHOTO, "Which one?", mode="mask_only")


def made(text: str, *phrases: str, size: tuple[int, int] = (4, 6)) -> Answer:
    """An answer whose masks are columns of the picture, one after the other."""
    segments = []
    for index, phrase in enumerate(phrases):
        mask = np.zeros(size, bool)
        mask[:, index] = True
        start = text.index(phrase)
        encoded, box = rle.encode(mask), (index, 0, 1, size[0])
        segments.append(Segment(index, phrase, (start, start + len(phrase)), encoded, box, size[0], 0.9))
    return Answer(text, tuple(segments), "m@1", "0" * 64, "job", "stop", {}, instruction="?")


def test_words_leave_the_marks_out() -> None:
    assert made("It is the cup <SEG> and the <b>spoon</b> <SEG>.", "the cup").words == "It is the cup and the <b>spoon</b>."


def test_masks_are_stacked() -> None:
    answer = made("It is the cup <SEG> and the spoon <SEG>.", "the cup", "the spoon")
    assert answer.masks.shape == (2, 4, 6)
    assert answer.masks.sum((1, 2)).tolist() == [4, 4]
    assert made("There is no fork in this image.").masks.shape == (0, 0, 0)


def test_a_notebook_shows_phrases_in_their_colours_and_text_as_text() -> None:
    html = made("It is 👩‍🍳 the cup <SEG> and <i>the spoon</i> <SEG>.", "the cup", "the spoon")._repr_html_()
    found = re.findall(r'<b style="[^"]*rgb\(([\d,]+)\)[^"]*">([^<]*)</b>', html)
    assert found == [(",".join(map(str, COLOURS[i])), phrase) for i, phrase in enumerate(("the cup", "the spoon"))]
    assert "SEG" not in html
    assert "&lt;i&gt;" in html


def test_a_notebook_shows_the_picture_under_its_masks(answer: Answer) -> None:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', answer._repr_html_())
    assert found
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))), np.int16)
    plain = np.asarray(Image.open(PHOTO).convert("RGB"), np.int16)
    assert np.array_equal((shown != plain).any(-1) & ~answer.masks[0], np.zeros(plain.shape[:2], bool))
    assert (shown != plain).any(-1)[answer.masks[0]].mean() > 0.9


def test_rows_make_a_table() -> None:
    rows = [*made("It is the cup <SEG>.", "the cup").records(), *made("There is no fork in this image.").records()]
    table = pd.DataFrame(rows)
    assert table["phrase"].tolist()[0] == "the cup"
    assert table["area"].tolist() == [4, 0]
    assert table[["x", "y", "width", "height"]].iloc[0].tolist() == [0, 0, 1, 4]


def test_a_conversation_holds_what_was_said() -> None:
    answer = made("It is the cup <SEG>.", "the cup")
    assert answer.turns == (Turn("?", "It is the cup <SEG>."),)


def test_an_upright_picture_has_the_masks_size(url: str) -> None:
    image = Image.open(PHOTO).convert("RGB")
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    with Client(url) as client:
        turned: Any = client.ask(buffer.getvalue(), "Which one?", mode="mask_only")
    assert turned.image().size == turned.masks.shape[:0:-1] == (400, 600)
