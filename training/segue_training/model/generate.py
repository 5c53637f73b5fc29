"""Answering questions with the PyTorch model: the reference for the exported graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .config import Limits
from .frame import letterbox
from .geometry import resize_bilinear
from .language import KeyValues
from .mask_decoder import Features
from .segue_model import SegueModel

_MAX_TOKENS = Limits().max_new_tokens

Turns = list[tuple[str, str]]
"""Earlier (question, answer) pairs about the same picture, oldest first."""


@dataclass
class Picture:
    """An encoded picture: decoder tensors, the language model's prefix, and its sizes (h, w)."""

    features: Features
    prefix: KeyValues
    resized: tuple[int, int]
    original: tuple[int, int]


@dataclass
class Answer:
    """Text with `<SEG>` where a mask belongs, and one prompt for each."""

    text: str
    prompts: Tensor  # [segments, 256]
    logprobs: list[float]  # of the words that lead to each <SEG>, summed since the one before


class Answerer:
    """Greedy answers to several questions about one picture at once."""

    def __init__(self, model: SegueModel):
        self.model = model

    @torch.no_grad()
    def look(self, pixels: np.ndarray) -> Picture:
        """uint8[h, w, 3] -> an encoded picture."""
        frame, resized = letterbox(pixels)
        features = self.model.encode(frame[None].contiguous(memory_format=torch.channels_last))
        ids = torch.tensor(self.model.tokenizer.encode(self.model.tokenizer.template.image_prefix))
        embeds = torch.cat([self.model.language.embed(ids)[None], self.model.visual_tokens(features)], 1)
        _, prefix = self.model.language(embeds)
        return Picture(features, prefix, resized, (pixels.shape[0], pixels.shape[1]))

    @torch.no_grad()
    def answer(self, picture: Picture, questions: list[str], histories: list[Turns] | None = None) -> list[Answer]:
        """Answers each question on its own; histories: what was asked and answered before each of them."""
        tokenizer, language = self.model.tokenizer, self.model.language
        n = len(questions)
        hidden, new, past, visible, positions = self._read(picture, questions, histories)
        start = picture.prefix[0][0].shape[2]
        logits = self.model.first_token_logits(hidden)
        rows: list[list[int]] = [[] for _ in questions]
        states: list[list[Tensor]] = [[] for _ in questions]
        logprobs: list[list[float]] = [[] for _ in questions]
        sums = [0.0] * n
        done = [False] * n
        for step in range(_MAX_TOKENS):
            likely, token = logits.log_softmax(-1).max(-1)
            for i in range(n):
                if done[i]:
                    continue
                if int(token[i]) == tokenizer.end:
                    done[i] = True
                    continue
                rows[i].append(int(token[i]))
                sums[i] += float(likely[i])
                if int(token[i]) == tokenizer.seg:
                    states[i].append(hidden[i])
                    logprobs[i].append(sums[i])
                    sums[i] = 0.0
            if all(done):
                break
            past = [(torch.cat([a, c], 2), torch.cat([b, d], 2)) for (a, b), (c, d) in zip(past, new, strict=True)]
            visible = torch.cat([visible, torch.ones(n, 1, dtype=torch.bool)], 1)
            hidden, new = language(
                language.embed(token[:, None]), (positions + step)[:, None], _bias(start, visible[:, None, None]), past
            )
            hidden = hidden[:, 0]
            logits = language.logits(hidden).float()
        return [
            Answer(tokenizer.decode(row), self._prompts(state), likely)
            for row, state, likely in zip(rows, states, logprobs, strict=True)
        ]

    def _read(
        self, picture: Picture, questions: list[str], histories: list[Turns] | None = None
    ) -> tuple[Tensor, KeyValues, KeyValues, Tensor, Tensor]:
        """Runs the prompts behind the picture.

        Returns the state of each last row [n, hidden], new and past key/values, which columns behind the
        prefix hold words (bool[n, longest]), and the position of each first answer token (int64[n]).
        """
        tokenizer, language = self.model.tokenizer, self.model.language
        earlier = histories or [[] for _ in questions]
        prompts = [tokenizer.question_ids(question, turns) for question, turns in zip(questions, earlier, strict=True)]
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        n, longest, start = len(prompts), int(lengths.max()), picture.prefix[0][0].shape[2]
        ids = torch.full((n, longest), tokenizer.end)
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt)] = torch.tensor(prompt)
        past = [(k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in picture.prefix]
        visible = torch.arange(longest) < lengths[:, None]
        causal = torch.ones(longest, longest).tril().bool() & visible[:, None]
        positions = start + torch.arange(longest).expand(n, -1)
        hidden, new = language(language.embed(ids), positions, _bias(start, causal[:, None]), past)
        return hidden[torch.arange(n), lengths - 1], new, past, visible, start + lengths

    @torch.no_grad()
    def refusal_margins(self, picture: Picture, questions: list[str]) -> list[float]:
        """How much likelier a refusal is than anything else, for each question (logits, calibrated)."""
        hidden, *_ = self._read(picture, questions)
        return _margins(self.model.first_token_logits(hidden), int(self.model.refusal_token))

    @torch.no_grad()
    def prompts_only(self, picture: Picture, questions: list[str]) -> Tensor:
        """Prompts [n, 256] read where the answer would begin, without writing it (teacher-forced mode)."""
        hidden, *_ = self._read(picture, questions)
        return self.model.text_hidden_fcs(hidden)

    def _prompts(self, states: list[Tensor]) -> Tensor:
        if not states:
            return torch.zeros(0, self.model.decoder_config.prompt_size)
        return self.model.text_hidden_fcs(torch.stack(states))

    @torch.no_grad()
    def masks(self, picture: Picture, prompts: Tensor) -> np.ndarray:
        """Prompts [n, 256] -> uint8[n, h, w] at the picture's own size."""
        return self.segments(picture, prompts)[0]

    @torch.no_grad()
    def segments(self, picture: Picture, prompts: Tensor) -> tuple[np.ndarray, Tensor]:
        """As `masks`, with the signals [n, 3] that the decoder makes a score of."""
        decoder = self.model.decoder
        if len(prompts) == 0:
            return np.zeros((0, *picture.original), np.uint8), torch.zeros(0, len(decoder.score_weights))
        resized = torch.tensor(picture.resized)
        frames, signals = decoder.answer(picture.features, prompts, resized)
        return (resize_bilinear(frames, *picture.original, resized) > 0).to(torch.uint8).numpy(), signals


def _bias(start: int, visible: Tensor) -> Tensor:
    """Attention bias [n, 1, s, start + k]: the prefix is always visible, the rest as `visible` [n, 1, s, k] says."""
    bias = torch.zeros(*visible.shape[:-1], start + visible.shape[-1])
    bias[..., start:].masked_fill_(~visible, -math.inf)
    return bias


def _margins(logits: Tensor, refusal: int) -> list[float]:
    others = logits.clone()
    others[:, refusal] = -math.inf
    return (logits[:, refusal] - others.amax(1)).tolist()
