"""Sizes and constants of the model, and the closed vocabularies that its parts share."""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
RELATIONS = (
    "one",
    "all",
    "left",
    "right",
    "top",
    "bottom",
    "largest",
    "smallest",
    "middle",
    "second_left",
    "third_left",
    "fourth_left",
    "second_right",
    "near",
    *COLOURS,
)
"""How an instruction picks among several things of its kind; the prompt carries one of them.

`near`: the one nearest to another thing, the landmark, which the prompt carries as well. A model trained before has the
first of them only, see `DecoderConfig.relations`.
"""

COCO_NAMES = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
"""The published detector's classes in its channel order (COCO's contiguous order).

A model's own names begin with these and may go on with others, see `SegueModel.names`.
"""

ZERO_SHOT = (
    "cat",
    "laptop",
    "refrigerator",
    "bus",
    "toilet",
    "pizza",
    "umbrella",
    "bench",
    "kite",
    "bed",
    "skateboard",
    "giraffe",
)
"""Classes that a side run trains without reasoning questions (`train --zero-shot`), to measure what it says
of classes never taught.
"""


@dataclass(frozen=True)
class VisionConfig:
    """Encoder and visual tokens."""

    frame: int = 512
    fill: tuple[int, int, int] = (124, 116, 104)
    grid: int = 8
    objects: int = 12

    @property
    def visual_tokens(self) -> int:
        return self.grid * self.grid + self.objects


@dataclass(frozen=True)
class DecoderConfig:
    """Mask decoder."""

    prompt_size: int = 256
    classes: int = len(COCO_NAMES)
    relations: tuple[str, ...] = RELATIONS
    dim: int = 128
    coarse: int = 24
    fine: int = 48
    peaks: int = 8


@dataclass(frozen=True)
class Limits:
    """Bounds of one request and of one run."""

    context_tokens: int = 1024
    max_question_tokens: int = 256
    max_new_tokens: int = 96
    max_segments: int = 16
    max_batch: int = 8
