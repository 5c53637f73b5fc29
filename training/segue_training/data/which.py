"""How people say which of several things they mean: by place, size, order, colour, or what is beside it."""

from __future__ import annotations

from segue_training.model.config import COLOURS, RELATIONS

RELATION_PHRASES = {
    "left": ("the {} on the left", "the left {}", "the leftmost {}", "the {} on the left side", "the {} furthest to the left"),
    "right": (
        "the {} on the right",
        "the right {}",
        "the rightmost {}",
        "the {} on the right side",
        "the {} furthest to the right",
    ),
    "top": ("the {} at the top", "the uppermost {}", "the highest {}", "the {} in the upper part"),
    "bottom": ("the {} at the bottom", "the lowest {}", "the {} in the lower part", "the bottommost {}"),
    "largest": ("the largest {}", "the biggest {}", "the big {}", "the closest {}", "the nearest {}", "the {} in the foreground"),
    "smallest": ("the smallest {}", "the small {}", "the tiny {}", "the {} furthest away", "the {} in the background"),
    "middle": ("the {} in the middle", "the central {}", "the {} in the centre", "the middle {}"),
}
"""By place and size."""
ORDER_PHRASES = {
    "second_left": ("the second {} from the left", "the {} that is second from the left", "the 2nd {} from the left"),
    "third_left": ("the third {} from the left", "the {} that is third from the left", "the 3rd {} from the left"),
    "fourth_left": ("the fourth {} from the left", "the {} that is fourth from the left"),
    "second_right": ("the second {} from the right", "the {} that is second from the right", "the 2nd {} from the right"),
}
_SHADES = {
    "grey": ("grey", "gray", "silver"),
    "brown": ("brown", "beige", "tan"),
    "purple": ("purple", "violet"),
    "yellow": ("yellow", "golden"),
}
COLOUR_PHRASES = {
    colour: tuple(
        shape.format(shade, "{}") for shade in _SHADES.get(colour, (colour,)) for shape in ("the {} {}", "the {1} that is {0}")
    )
    for colour in COLOURS
}
NEAR_PHRASES = (
    "the {0} next to the {1}",
    "the {0} beside the {1}",
    "the {0} near the {1}",
    "the {0} by the {1}",
    "the {0} on the {1}",
    "the {0} in front of the {1}",
    "the {0} behind the {1}",
    "the {0} under the {1}",
    "the {0} closest to the {1}",
    "the {0} at the {1}",
    "the {0} that touches the {1}",
    "the {0} with the {1}",
)
"""{0}: what is meant, {1}: the landmark."""
HELD_PHRASES = ("the {0} that the {1} is holding", "the {0} held by the {1}", "the {0} of the {1}", "the {1}'s {0}")
"""As NEAR_PHRASES, for what a person has."""


def phrases(relations: tuple[str, ...] = RELATIONS) -> dict[str, tuple[str, ...]]:
    """All ways of saying which without another thing, for the relations that a model has."""
    every = RELATION_PHRASES | ORDER_PHRASES | COLOUR_PHRASES
    return {relation: found for relation, found in every.items() if relation in relations}
