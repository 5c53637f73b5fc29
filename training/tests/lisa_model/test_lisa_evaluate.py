"""The bundle in ONNX Runtime against LISA's own procedure, computed with transformers' classes."""

import numpy as np
import pytest
import torch
from lisa_reference import Reference
from PIL import Image

from lisa.export import export_lisa
from lisa.facts import lisa_facts
from lisa.tokenizer import SYSTEM
from segue_training.bundle.runtime import Runtime
from segue_training.metrics import iou_of
from segue_training.tiny import tiny_pictures

QUESTIONS = (
    "What is here?",
    "Where is the cat?",
    "Segment the red ball and the tree.",
    "Is there a dog on the table?",
    "Can you see the cup in this image? Please output segmentation mask.",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return [Image.open(path) for path in tiny_pictures(tmp_path_factory.mktemp("pictures"))]


@pytest.fixture(scope="module")
def pair(family, tmp_path_factory):
    """A bundle and the reference of the same checkpoint."""
    folder = tmp_path_factory.mktemp("served") / "bundle"
    export_lisa(family, folder, lisa_facts(family, "tiny", "0.1.0"), "float32", [])
    return Runtime.open(folder), Reference(family.folder, family.clip_folder)


@pytest.fixture(scope="module")
def answers(pair, pictures):
    """(the bundle's answer, the reference's, picture) of every question on every picture"""
    runtime, reference = pair
    longest = runtime.manifest["language"]["limits"]["maxNewTokens"]
    return [
        (runtime.answer(picture, question), reference.evaluate(picture, question, longest), picture)
        for picture in pictures
        for question in QUESTIONS
    ]


def test_prompts_are_upstreams(pair, answers):
    runtime, _ = pair
    for answer, expected, _ in answers:
        at, visual = expected.prompt.index(-200), answer.prompt_ids.count(runtime.tokenizer.image)
        spliced = [*expected.prompt[:at], *[runtime.tokenizer.image] * visual, *expected.prompt[at + 1 :]]
        assert answer.prompt_ids == spliced


def test_cached_decoding_writes_what_computing_everything_again_writes(answers):
    for answer, expected, _ in answers:
        assert answer.token_ids == expected.tokens


def test_the_state_before_seg_is_upstreams(pair, answers):
    seg, counts = pair[0].tokenizer.seg, []
    for answer, expected, _ in answers:
        counts.append(len(answer.segments))
        assert len(answer.segments) == len(expected.embeddings) == answer.token_ids.count(seg)
        for segment, embedding in zip(answer.segments, expected.embeddings.numpy(), strict=True):
            assert _cosine(segment.embedding, embedding) >= 0.999
    assert max(counts) > 1


def test_masks_are_upstreams(answers):
    for answer, expected, picture in answers:
        for segment, mask in zip(answer.segments, expected.masks.numpy(), strict=True):
            assert segment.mask.shape == picture.size[::-1]
            assert iou_of(segment.mask, mask.astype(np.uint8)) >= 0.99


@pytest.fixture(scope="module")
def segmented(answers):
    """The reference's first answer with a segment, and its picture."""
    return next((expected, picture) for _, expected, picture in answers if len(expected.embeddings))


def test_the_state_at_seg_is_another_one(pair, segmented):
    """The mistake that looks plausible: one position later, the embedding is far from upstream's."""
    _, reference = pair
    found, picture = segmented
    at = found.tokens.index(reference.seg)
    ids = [*found.prompt, *found.tokens[: at + 1]]
    hidden = reference._hidden(ids, reference.visual_tokens(picture))
    assert _cosine(reference.embed(hidden[:, -2])[0].numpy(), found.embeddings[0].numpy()) > 0.9999
    assert _cosine(reference.embed(hidden[:, -1])[0].numpy(), found.embeddings[0].numpy()) < 0.99


def test_the_fast_mode_is_an_answer_that_begins_with_seg(pair, pictures):
    """Upstream's validation writes `[SEG].` behind the prompt: its state is that of the prompt's last token."""
    runtime, reference = pair
    question = QUESTIONS[2]
    segment = runtime.mask_only(runtime.look(pictures[1]), question)
    text = f"{reference_prompt(question)} [SEG].</s>"
    ids = reference.tokenizer.prompt(text)
    visual = reference.visual_tokens(pictures[1])
    marks = torch.tensor([*[False] * (visual.shape[1] - 1), *(token == reference.seg for token in ids[1:]), False])
    expected = reference.embed(reference._hidden(ids, visual)[0][marks])
    assert len(expected) == 1
    assert _cosine(segment.embedding, expected[0].numpy()) >= 0.999


def test_two_steps_of_enlarging_are_not_one(segmented):
    found, picture = segmented
    height, width = picture.size[::-1]
    side = found.low_logits.shape[-1]
    rows, columns = (round(side * part / max(height, width)) for part in (height, width))
    inside = found.low_logits[:, None, :rows, :columns]
    direct = torch.nn.functional.interpolate(inside, (height, width), mode="bilinear")[:, 0] > 0
    assert (direct != found.masks).any()


def reference_prompt(question: str) -> str:
    return f"{SYSTEM} USER: <im_start><image><im_end>\n{question} ASSISTANT:"


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
