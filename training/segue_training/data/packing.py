"""Several questions about one picture in one row.

A row is the picture's prefix followed by blocks (question and answer). Every block sees the prefix and
itself, its positions go on from the prefix: to the model each block looks like a conversation of its own,
while the picture is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from segue_training.model.tokenization import SegueTokenizer

from .scene import NOWHERE, Question


@dataclass
class PackedRows:
    """Rows of equal length S; flat indices count over [rows * S]."""

    ids: Tensor  # int64[rows, S]; image ids stand for visual tokens
    positions: Tensor  # int64[rows, S]
    bias: Tensor  # float32[rows, 1, S, S]: 0 where a position may look, -inf where it may not
    predicts: Tensor  # int64[t] flat index of the position that predicts answer token t
    labels: Tensor  # int64[t]
    first: Tensor  # bool[t]: the first token of an answer
    seg: Tensor  # int64[s] flat index of the position that predicts <SEG>
    targets: Tensor  # int64[s, 3] (thing, relation, landmark or -1) of each <SEG>
    single: Tensor  # int64[q] flat index of the last prompt position of questions with one target
    single_targets: Tensor  # int64[q, 3]

    def to(self, device: torch.device) -> PackedRows:
        """The same rows on a device."""
        return PackedRows(**{name: value.to(device) for name, value in vars(self).items()})


def draw_to_fit(tokenizer: SegueTokenizer, draw: Callable[[], Question], room: int) -> list[Question]:
    """Draws questions as long as their blocks fit into `room` tokens."""
    questions: list[Question] = []
    while True:
        question = draw()
        room -= sum(map(len, _block(tokenizer, question)))
        if room < 0:
            return questions
        questions.append(question)


def pack(tokenizer: SegueTokenizer, rows: list[list[Question]], visual_tokens: int, length: int) -> PackedRows:
    """Packs each list of questions into one row of `length` tokens."""
    prefix = tokenizer.picture_ids(visual_tokens)
    blocks = [[_block(tokenizer, question) for question in questions] for questions in rows]
    ids = torch.full((len(rows), length), tokenizer.end)
    positions = torch.zeros(len(rows), length, dtype=torch.long)
    group = torch.full((len(rows), length), -1)
    predicts: list[int] = []
    labels: list[int] = []
    first: list[bool] = []
    seg: list[int] = []
    single: list[int] = []
    targets: list[tuple[int, ...]] = []
    single_targets: list[tuple[int, ...]] = []
    for row, (parts, questions) in enumerate(zip(blocks, rows, strict=True)):
        ids[row, : len(prefix)], group[row, : len(prefix)] = torch.tensor(prefix), 0
        positions[row, : len(prefix)] = torch.arange(len(prefix))
        start = len(prefix)
        for number, ((prompt, answer), question) in enumerate(zip(parts, questions, strict=True), 1):
            end = start + len(prompt) + len(answer)
            ids[row, start:end], group[row, start:end] = torch.tensor(prompt + answer), number
            positions[row, start:end] = torch.arange(len(prefix), len(prefix) + end - start)
            before = row * length + start + len(prompt) - 1
            predicts += range(before, before + len(answer))
            labels += answer
            first += [True] + [False] * (len(answer) - 1)
            seg += [before + i for i, token in enumerate(answer) if token == tokenizer.seg]
            wanted = [target if len(target) == 3 else (*target, NOWHERE) for target in question.targets]
            targets += wanted
            if len(question.targets) == 1 and question.kind != "partly":
                single.append(before)
                single_targets += wanted
            start = end
    index = torch.arange(length)
    allowed = (index[:, None] >= index) & ((group[:, None] == 0) | (group[:, None] == group[:, :, None]))
    bias = torch.zeros(allowed.shape).masked_fill(~allowed, -math.inf)[:, None]
    return PackedRows(
        ids,
        positions,
        bias,
        torch.tensor(predicts),
        torch.tensor(labels),
        torch.tensor(first),
        torch.tensor(seg, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long).reshape(-1, 3),
        torch.tensor(single, dtype=torch.long),
        torch.tensor(single_targets, dtype=torch.long).reshape(-1, 3),
    )


def _block(tokenizer: SegueTokenizer, question: Question) -> tuple[list[int], list[int]]:
    """(prompt ids, answer ids); the answer ends with the end token."""
    return tokenizer.question_ids(question.text, question.history), tokenizer.encode(question.answer) + [tokenizer.end]
