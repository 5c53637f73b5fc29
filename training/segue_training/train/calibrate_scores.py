"""Calibration of `score`: the probability that a segment's mask is right, from signals that training made meaningful.

A mask is right when its IoU with the thing meant is at least 0.5; a mask for something absent is never right. The weights
of the signals (`MaskDecoder.answer`) come from a logistic regression over the answers to the development questions,
because masks of photos seen in training look better than any others will. What is reported is cross-fitted: each half of the
photos is scored with weights fitted on the other half.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from segue_training.evaluate.checkpoint import GivenAnswer
from segue_training.model.segue_model import SegueModel

RIGHT = 0.5
_BINS = 5
_RIDGE = 3e-3


class Reliability(TypedDict):
    masks: int
    table: list[tuple[float, float, int, float, float]]
    """(from, to, masks, mean score, share right) of each range of scores"""
    calibration_error: float
    """Expected calibration error."""
    brier: float
    brier_with_token_probability: NotRequired[float]
    brier_of_predicted_iou_alone: NotRequired[float]


def calibrate_scores(model: SegueModel, answers: list[GivenAnswer]) -> Reliability | None:
    """Sets `decoder.score_weights` from the answers of `evaluate`; returns the cross-fitted reliability.

    Without any mask in the answers (a model that hardly trained) nothing is set and None returned.
    """
    if not any(answer["iou"] for answer in answers if answer["kind"] != "present"):
        return None
    signals, right, photos, logprobs = _records(answers)
    model.decoder.score_weights.copy_(fit(signals, right))
    facts = reliability(cross_fitted(signals, right, photos), right)
    spoken = torch.cat([signals, logprobs[:, None]], 1)
    facts["brier_with_token_probability"] = brier(cross_fitted(spoken, right, photos), right)
    facts["brier_of_predicted_iou_alone"] = brier(signals[:, 1].sigmoid(), right)
    return facts


def fit(signals: Tensor, right: Tensor) -> Tensor:
    """Ridge logistic regression: signals [n, s] (the first is 1), right [n] 0..1 -> weights [s]."""
    weights = torch.zeros(signals.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(signals @ weights, right) + _RIDGE * weights[1:].square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weights.detach()


def cross_fitted(signals: Tensor, right: Tensor, photos: Tensor) -> Tensor:
    """Scores [n], each from weights that its own photo had no part in."""
    ranks = {photo: rank for rank, photo in enumerate(sorted(set(photos.tolist())))}
    half = torch.tensor([ranks[photo] % 2 for photo in photos.tolist()])
    scores = torch.zeros(len(right))
    for fold in (0, 1):
        scores[half == fold] = (signals[half == fold] @ fit(signals[half != fold], right[half != fold])).sigmoid()
    return scores


def reliability(scores: Tensor, right: Tensor) -> Reliability:
    """How far scores are the probabilities that they claim to be."""
    bins, error = (scores * _BINS).long().clamp(max=_BINS - 1), 0.0
    table: list[tuple[float, float, int, float, float]] = []
    for index in range(_BINS):
        inside = bins == index
        if not inside.any():
            continue
        mean, share = float(scores[inside].mean()), float(right[inside].mean())
        error += float(inside.float().mean()) * abs(mean - share)
        table.append((index / _BINS, (index + 1) / _BINS, int(inside.sum()), round(mean, 3), round(share, 3)))
    return {"masks": len(right), "table": table, "calibration_error": round(error, 4), "brier": brier(scores, right)}


def brier(scores: Tensor, right: Tensor) -> float:
    """Mean squared difference of scores and outcomes."""
    return round(float((scores - right).square().mean()), 4)


def _records(answers: list[GivenAnswer]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = [
        (signals, float(iou >= RIGHT), answer["photo"], logprob)
        for answer in answers
        if answer["kind"] != "present"
        for signals, iou, logprob in zip(answer["signals"], answer["iou"], answer["logprobs"], strict=True)
    ]
    signals, right, photos, logprobs = (list(column) for column in zip(*rows, strict=True))
    return torch.tensor(signals), torch.tensor(right), torch.tensor(photos), torch.tensor(logprobs)
