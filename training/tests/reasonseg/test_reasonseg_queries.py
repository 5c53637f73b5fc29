import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from reasonseg.queries import UPSTREAM_PREFIX, instruction
from segue_training.model.tokenization import SegueTokenizer

TINY_LISA = Path(__file__).parents[3] / "models/tiny-lisa"


def test_phrases_and_sentences_have_templates_of_their_own():
    assert instruction(" the red {cup} ", False) == "What is the red {cup} in this image? Please output segmentation mask."
    assert instruction("Where could I sit? ", True) == "Where could I sit? Please output segmentation mask."


@pytest.mark.parametrize("is_sentence", [False, True])
def test_for_lisa_the_blank_behind_the_picture_changes_nothing(is_sentence):
    manifest = json.loads((TINY_LISA / "manifest.json").read_text())
    tokenizer = SegueTokenizer.from_manifest(Tokenizer.from_file(str(TINY_LISA / "tokenizer.json")), manifest["language"])
    sent, blank = instruction("the cup", is_sentence), UPSTREAM_PREFIX.removeprefix("<image>\n")
    assert blank == " "
    assert tokenizer.question_ids(blank + sent) == tokenizer.question_ids(sent)
    assert tokenizer.question_ids("x" + sent) != tokenizer.question_ids(sent)
