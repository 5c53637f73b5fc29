"""The questions of the made-up example set: what people who look after valves and gauges might ask."""

from __future__ import annotations

import random

from segue_training.model.tokenization import SEG

_ONE = {
    "valve": (
        ("What would I turn to stop the water?", f"You would turn the valve {SEG}."),
        ("How do I shut off this pipe?", f"With the valve {SEG}, turned clockwise."),
        ("Show me the valve.", f"It is the valve {SEG}."),
        ("The line must be closed. Where do I put my hand?", f"On the wheel of the valve {SEG}."),
        ("Which part lets more or less through?", f"That is the valve {SEG}."),
    ),
    "gauge": (
        ("Where do I read the pressure?", f"The gauge {SEG} shows the pressure."),
        ("What tells me whether the pressure is too high?", f"The needle of the gauge {SEG} does."),
        ("Segment the gauge.", f"It is the gauge {SEG}."),
        ("What should I write down on my round?", f"Write down what the gauge {SEG} shows."),
        ("Which part measures something?", f"That is the gauge {SEG}."),
    ),
}
_ALL = {
    "valve": (
        ("Which wheels do I have to close before I go?", f"Close the valves {SEG}."),
        ("Mark every valve.", f"They are the valves {SEG}."),
    ),
    "gauge": (
        ("Which dials do I have to read?", f"Read the gauges {SEG}."),
        ("Show me all the gauges.", f"They are the gauges {SEG}."),
    ),
}
_SIDE = {
    "left": ("I need the {} on the left.", "It is the {} {}."),
    "right": ("Only the right {} is mine. Which one is it?", "It is the {} {}."),
}
_GONE = {
    "valve": (
        ("How do I shut off this pipe?", "There is no valve in this image."),
        ("Where is the valve?", "There is no valve in this image."),
    ),
    "gauge": (
        ("Where do I read the pressure?", "There is no gauge in this image."),
        ("Can you segment the gauge?", "There is no gauge in this image."),
    ),
}
_BOTH = (
    ("What do I turn, and where do I watch the pressure?", f"Turn the valve {SEG} and watch the gauge {SEG}."),
    ("Show me everything on this pipe.", f"It is the valve {SEG} and the gauge {SEG}."),
)
_AND_THEN = "And where do I see whether it worked?"


def questions_about(things: dict[str, list[tuple[int, float]]], number: int, rng: random.Random) -> list[dict[str, object]]:
    """Lines without `image`. things: by kind (annotation id, x of the centre); number: of the picture."""
    lines: list[dict[str, object]] = []

    def ask(texts: tuple[str, str], *targets: list[int], history: list[list[str]] | None = None) -> None:
        line: dict[str, object] = {"question": texts[0], "answer": texts[1], "targets": list(targets)}
        lines.append({**line, "history": history} if history else line)

    for kind, found in things.items():
        ids = [number for number, _ in found]
        if not found:
            ask(_GONE[kind][number % 2])
        elif len(found) == 1:
            for texts in rng.sample(_ONE[kind], 2):
                ask(texts, ids)
        else:
            ask(_ALL[kind][number % 2], ids)
            ordered = [i for i, _ in sorted(found, key=lambda thing: thing[1])]
            for side, target in (("left", ordered[0]), ("right", ordered[-1])):
                question, answer = _SIDE[side]
                ask((question.format(kind), answer.format(kind, SEG)), [target])
    valves, gauges = ([i for i, _ in things[kind]] for kind in ("valve", "gauge"))
    if len(valves) == len(gauges) == 1:
        ask(_BOTH[number % 2], valves, gauges)
        first = _ONE["valve"][0]
        ask((_AND_THEN, f"On the gauge {SEG}."), gauges, history=[list(first)])
    return lines
