"""LISA's metrics: gIoU is the mean of the masks' IoUs, cIoU is pooled intersection over pooled union."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IGNORE = 255


def intersection_and_union(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """Pixels of the intersection and the union of two masks; where truth is 255 nothing counts."""
    if predicted.shape != truth.shape:
        raise ValueError(f"mask sizes differ: predicted {predicted.shape}, truth {truth.shape}")
    counted = truth != IGNORE
    a, b = (predicted > 0) & counted, (truth == 1) & counted
    return int((a & b).sum()), int((a | b).sum())


def iou_of(predicted: np.ndarray, truth: np.ndarray) -> float:
    """IoU of two masks, 0..1; 1 if both are empty."""
    intersection, union = intersection_and_union(predicted, truth)
    return intersection / union if union else 1.0


@dataclass
class MaskScore:
    """Running gIoU and cIoU over masks."""

    masks: int = 0
    iou_sum: float = 0.0
    intersection: int = 0
    union: int = 0

    def add(self, predicted: np.ndarray, truth: np.ndarray) -> float:
        """Counts one mask and returns its IoU; an empty truth found empty counts as 1."""
        return self.count(*intersection_and_union(predicted, truth))

    def count(self, intersection: int, union: int) -> float:
        """As `add`, from pixels that were counted before."""
        iou = 1.0 if union == 0 else intersection / (union + 1e-5)
        self.masks += 1
        self.iou_sum += iou
        self.intersection += intersection
        self.union += union
        return iou

    @property
    def giou(self) -> float:
        return self.iou_sum / self.masks if self.masks else float("nan")

    @property
    def ciou(self) -> float:
        return self.intersection / (self.union + 1e-10)


def balanced_accuracy(present_found: list[bool], absent_refused: list[bool]) -> float:
    """Mean of the share of present things that got a mask and the share of absent things that got none."""
    return (sum(present_found) / len(present_found) + sum(absent_refused) / len(absent_refused)) / 2
