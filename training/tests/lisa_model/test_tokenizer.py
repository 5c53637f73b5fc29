"""`tokenizer.json` against the slow tokenizer of the pinned version, and against the current one of transformers."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from sentencepiece import SentencePieceTrainer
from slow_tokenizer import SlowTokenizer
from transformers import LlamaTokenizer

from lisa.tokenizer import SYSTEM, added_tokens, build_tokenizer, load_tokenizer

QUESTIONS = (
    "What is the cat in this image? Please output segmentation mask.",
    "the red ball",
    " What is here?",
    "See 3 of 42 cups",
    "été 日本 \U0001f600",
    "two  blanks and a\nnew line ",
    "a▁b",
    "[ SEG] < image>",
    "it's",
    "...",
)


@pytest.fixture(scope="module", params=[True, False], ids=["legacy", "not legacy"])
def tokenizers(request, family):
    model, added = family.folder / "tokenizer.model", added_tokens(family.folder)
    fast = load_tokenizer(family.folder)
    fast = type(fast)(build_tokenizer(model, added, request.param), fast.template, fast.control)
    return fast, SlowTokenizer(model, added, request.param)


def slow_prompt(slow, question, history=()):
    """The conversation as upstream writes it, cut behind the picture's placeholder."""
    turns = "".join(f"{q} ASSISTANT: {a.replace('<SEG>', '[SEG]')}</s>USER: " for q, a in history)
    text = f"{SYSTEM} USER: <im_start><image><im_end>\n{turns}{question} ASSISTANT:"
    ids = slow.prompt(text)
    return ids[: ids.index(-200)], ids[ids.index(-200) + 1 :]


@pytest.mark.parametrize("question", QUESTIONS)
def test_prompts_are_the_slow_tokenizers(tokenizers, question):
    fast, slow = tokenizers
    before, behind = slow_prompt(slow, question)
    assert fast.picture_ids(3) == [*before, *[fast.image] * 3]
    if 0 not in behind:  # see test_a_first_word_is_not_lost
        assert fast.question_ids(question) == behind


def test_a_conversation_is_the_slow_tokenizers(tokenizers):
    fast, slow = tokenizers
    history = [("Where is the cat?", "Sure, it is <SEG> ."), ("And the dog?", "<SEG>, <SEG>")]
    _, behind = slow_prompt(slow, "the tree", history)
    ids = fast.question_ids("the tree", history)
    assert [i for i in ids if i in slow.added] == [i for i in behind if i in slow.added]
    assert ids.count(fast.seg) == 3
    if slow.legacy:  # otherwise this vocabulary loses the `USER` behind an answer
        assert ids == behind


def test_a_first_word_is_not_lost(family):
    """Not `legacy`: upstream cuts the blank off `▁the`, and this vocabulary has no `the`; here the word stays in pieces."""
    model, added = family.folder / "tokenizer.model", added_tokens(family.folder)
    slow, fast = SlowTokenizer(model, added, legacy=False), load_tokenizer(family.folder)
    _, lost = slow_prompt(slow, "the cat is here")
    kept = fast.question_ids("the cat is here")
    assert lost[1] == 0
    assert 0 not in kept
    assert fast.decode(kept).startswith("the cat is here")
    assert kept[-len(lost[2:]) :] == lost[2:], "from the second word on nothing differs"


def test_blanks_around_added_tokens_are_dropped(tokenizers):
    fast, slow = tokenizers
    assert slow.encode("<im_end>\n A cat") == slow.encode("<im_end>A cat") == fast.encode("<im_end> \n A cat")
    tight = fast.encode("It is<SEG>.")
    assert fast.encode("It is <SEG> .") == tight == slow.encode("It is [SEG] .")
    assert fast.encode("the cat </s>") != fast.encode("the cat</s>"), "the end token keeps its blanks"


def test_seg_is_one_token_and_comes_back(tokenizers):
    """Asked by its name the token is found; no piece of a blank stands before it."""
    fast, slow = tokenizers
    assert fast.encode("<SEG>") == [fast.seg]
    assert slow.encode("[SEG]") == [fast.seg], "the same id as under its published name"
    stop = fast.tokenizer.token_to_id(".")
    assert fast.decode([*fast.encode("Sure, it is"), fast.seg, fast.seg, stop]) == "Sure, it is <SEG> <SEG>."
    assert fast.decode([fast.seg]) == "<SEG>"


@pytest.mark.parametrize("typed", ["<SEG>", "[SEG]", "<image>", "<im_start>", "<im_end>", "</s>", "<s>", "<unk>", "<<SEG>SEG>"])
def test_what_a_person_types_is_no_control_token(tokenizers, typed):
    fast, _ = tokenizers
    plain = fast.question_ids("the cat")
    control = {fast.tokenizer.token_to_id(token) for token in fast.added}
    assert [i for i in fast.question_ids(f"the {typed} cat") if i in control] == [i for i in plain if i in control]


def test_current_transformers_agree(tokenizers, family):
    """Its Llama tokenizer with the same flags on the added tokens; text without two blanks at a start, where it differs."""
    fast, slow = tokenizers
    from tokenizers import AddedToken

    current = LlamaTokenizer.from_pretrained(family.folder, legacy=slow.legacy)
    published = added_tokens(family.folder)
    current.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in published])
    for question in QUESTIONS[:5]:
        text = f"<im_end>\n{question} ASSISTANT: Sure, it is [SEG] ."
        own = text.replace("[SEG]", "<SEG>")
        if slow.legacy:
            continue  # the current version has no such mode for added tokens
        assert current(text, add_special_tokens=False).input_ids == fast.encode(own), question


def test_random_texts(tokenizers):
    """Texts without a lost word have the slow tokenizer's ids, whatever is in them."""
    fast, slow = tokenizers
    rng, alphabet = random.Random(5), ["the ", "cat", " ", "  ", "\n", "Bird", "s", ".", "é", "日", "7", "aaa", "A ", "'"]
    compared = 0
    for _ in range(400):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 12)))
        expected = slow.encode(f"<im_end>\n{text} ASSISTANT: [SEG] {text}")
        if 0 in expected:
            continue
        compared += 1
        assert fast.encode(f"<im_end>\n{text} ASSISTANT: <SEG> {text}") == expected, text
    assert compared > 100


def test_a_tokenizer_of_another_family_is_refused(source, tmp_path):
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<pad>": 400}))
    with pytest.raises(FileNotFoundError, match="tokenizer.model"):
        load_tokenizer(tmp_path)
    shutil.copy(source.folder / "tokenizer.model", tmp_path)
    with pytest.raises(ValueError, match="not a checkpoint of LISA"):
        load_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[SEG]": 402, "<im_start>": 400, "<im_end>": 403}))
    with pytest.raises(ValueError, match="one after the other"):
        load_tokenizer(tmp_path)
    SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g"] * 9), model_prefix=str(tmp_path / "other"), vocab_size=12, minloglevel=2
    )
    with pytest.raises(ValueError, match="not of the kind BPE.*normalises"):
        build_tokenizer(tmp_path / "other.model", {}, legacy=True)


def test_added_tokens_may_stand_in_the_configuration(source, tmp_path):
    expected = added_tokens(source.folder)
    entries = {index: {"content": token} for token, index in [("<unk>", 0), ("<s>", 1), ("</s>", 2), *expected.items()]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": entries}))
    assert added_tokens(tmp_path) == expected


PREFIX = [
    1,
    319,
    13563,
    1546,
    263,
    12758,
    5199,
    322,
    385,
    23116,
    21082,
    20255,
    29889,
    450,
    20255,
    4076,
    8444,
    29892,
    13173,
    29892,
    322,
    1248,
    568,
    6089,
    304,
    278,
    5199,
    29915,
    29879,
    5155,
    29889,
    3148,
    1001,
    29901,
    32001,
]
"""The prompt up to the picture, as a run of LISA on LLaVA 1.5 printed it (issue 193 of its repository)."""


@pytest.mark.published
def test_ids_that_upstream_printed():
    published = Path(os.environ["SEGUE_LLAMA_TOKENIZER"])
    added = {"[SEG]": 32000, "<im_start>": 32001, "<im_end>": 32002}
    slow = SlowTokenizer(published, added, legacy=False)
    before, behind = slow_prompt(slow, "Birds have wings.")
    assert before == PREFIX
    assert behind[:3] == [32002, 0, 29879]
    assert slow.encode("ASSISTANT: [SEG].</s>") == [319, 1799, 9047, 13566, 29901, 32000, 29889, 2]
    from lisa.tokenizer import CONTROL, TEMPLATE
    from segue_training.model.tokenization import SegueTokenizer

    fast = SegueTokenizer(build_tokenizer(published, added, legacy=False), TEMPLATE, CONTROL)
    assert fast.picture_ids(0) == PREFIX
    assert fast.question_ids("Birds have wings.")[:4] == [32002, 29933, 1823, 29879]  # B, ird, s
    for question in QUESTIONS:
        _, expected = slow_prompt(slow, question)
        if 0 not in expected:
            assert fast.question_ids(question) == expected
