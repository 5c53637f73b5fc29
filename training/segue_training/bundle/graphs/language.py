"""The language model as two ONNX graphs over the same weights: `prefill` and `decode`.

Shapes in comments: B rows, S new positions, P past positions, H hidden, G query heads to a key/value head.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper

from segue_training.model.language import LanguageConfig

from .graph import Graph, Value, WeightFiles
from .layers import MASKED, LanguageGraph


def build_prefill(
    config: LanguageConfig, weights: WeightFiles, precision: str, image_id: int, first_token_bias: dict[int, float], path: Path
) -> None:
    """Write the graph that reads new positions behind a past, of rows of different lengths, and chooses the next token.

    first_token_bias: added to these tokens' logits, a calibration of how an answer begins.
    """
    c, group = config, config.heads // config.kv_heads
    build = LanguageGraph(config, weights, precision)
    g = build.outer
    rows, length = (g.op("Shape", "input_ids", start=axis, end=axis + 1) for axis in (0, 1))
    order = g.op("Range", g.constant(0), build.size("input_ids", 1), g.constant(1))  # [S]
    later = g.op("Greater", order, g.op("Unsqueeze", order, g.constant([1])))  # [S, S]
    causal = g.op("Mul", g.op("Cast", later, to=TensorProto.FLOAT), g.constant(MASKED, np.float32))
    causal = g.op("Unsqueeze", g.op("Tile", causal, g.constant([group, 1])), g.constant([0, 1]))
    past, past_bias = build.past("past_kv", "past_lengths")
    positions = g.op("Add", g.op("Unsqueeze", "past_lengths", g.constant([1])), order)
    step = build.step(g, rows, length, positions, past_bias, causal)

    text = build.embed(g, g.op("Reshape", "input_ids", g.constant([-1])))
    is_image = g.op("Equal", "input_ids", g.constant(image_id))  # [B, S]
    nth = g.op("Sub", g.op("CumSum", g.op("Cast", is_image, to=TensorProto.INT64), g.constant(1)), g.constant(1))
    last = g.op("Sub", build.size("visual_tokens", 1), g.constant(1))
    nth = g.op("Min", g.op("Max", nth, g.constant(0)), last)
    seen = g.op("GatherND", "visual_tokens", g.op("Unsqueeze", nth, g.constant([2])), batch_dims=1)
    flat = [g.op("Reshape", name, g.constant([-1, size])) for name, size in ((is_image, 1), (seen, c.hidden))]
    x, new = g.op("Where", *flat, text), []
    for index in range(c.layers):
        x, k, v = build.layer(step, index, x, past[index])
        new.append((k, v))
    final = g.op("Unsqueeze", g.op("Sub", "lengths", g.constant(1)), g.constant([1]))
    x = g.op("GatherND", g.op("Reshape", x, step.rows), final, batch_dims=1)  # [B, H]
    hidden = build.norm(g, x, "norm")
    token, logprob = build.choose(g, hidden, first_token_bias)
    _name(g, {"kv": build.join(new), "hidden": hidden, "token": token, "logprob": logprob})
    kv: list[int | str] = [2 * c.layers, "batch", c.kv_heads, "past", c.head_dim]
    g.save(
        path,
        [
            ("input_ids", np.int64, ["batch", "seq"]),
            ("lengths", np.int64, ["batch"]),
            ("visual_tokens", np.float32, ["batch", "visual", c.hidden]),
            ("past_kv", np.float32, kv),
            ("past_lengths", np.int64, ["batch"]),
        ],
        [
            ("kv", np.float32, [2 * c.layers, "batch", c.kv_heads, "seq", c.head_dim]),
            ("hidden", np.float32, ["batch", c.hidden]),
            ("token", np.int64, ["batch"]),
            ("logprob", np.float32, ["batch"]),
        ],
    )


def build_decode(config: LanguageConfig, weights: WeightFiles, precision: str, path: Path) -> None:
    """Write the graph that takes `steps` greedy steps in a Loop; new keys and values travel, the past stays outside."""
    c = config
    build = LanguageGraph(config, weights, precision)
    g = build.outer
    past, past_bias = build.past("past_kv", "past_lengths")
    rows = g.op("Shape", "token")
    names = [f"{kind}_{index}" for index in range(c.layers) for kind in ("keys", "values")]
    empty = [
        g.op("ConstantOfShape", g.op("Concat", rows, g.constant(sizes), axis=0), value=_zero)
        for _ in range(c.layers)
        for sizes in ([c.kv_heads, c.head_dim, 0], [c.kv_heads, 0, c.head_dim])
    ]

    b = g.body()
    positions = b.op("Unsqueeze", b.op("Add", "past_lengths", "iteration"), b.constant([1]))
    step = build.step(b, rows, b.constant([1]), positions, past_bias, None)
    x, new = build.embed(b, "fed"), []
    for index in range(c.layers):
        x, k, v = build.layer(step, index, x, past[index], (names[2 * index], names[2 * index + 1]))
        new += [k, v]
    hidden = build.norm(b, x, "norm")
    token, logprob = build.choose(b, hidden)
    chosen = b.op("Identity", token)
    carried: list[Value] = []
    for keys, values in zip(names[0::2], names[1::2], strict=True):
        carried.append((keys, np.float32, ["batch", c.kv_heads, c.head_dim, "steps"]))
        carried.append((values, np.float32, ["batch", c.kv_heads, "steps", c.head_dim]))
    longer: list[Value] = [(name, np.float32, ["batch", c.kv_heads, None, None]) for name in new]
    body = b.proto(
        "step",
        [("iteration", np.int64, []), ("go_on", np.bool_, []), ("fed", np.int64, ["batch"]), *carried],
        [
            (b.op("Identity", "go_on"), np.bool_, []),
            (token, np.int64, ["batch"]),
            *longer,
            (chosen, np.int64, ["batch"]),
            (hidden, np.float32, ["batch", c.hidden]),
            (logprob, np.float32, ["batch"]),
        ],
    )
    results = g.ops("Loop", "steps", g.constant(True, np.bool_), "token", *empty, outputs=len(empty) + 4, body=body)
    _, *grown, tokens, hiddens, logprobs = results
    turned = {"tokens": tokens, "hidden": hiddens, "logprobs": logprobs}
    for name, value in turned.items():
        turned[name] = g.op("Transpose", value, perm=[1, 0, 2][: 3 if name == "hidden" else 2])
    _name(g, {**turned, "kv": build.join(list(zip(grown[0::2], grown[1::2], strict=True)))})
    kv: list[int | str] = [2 * c.layers, "batch", c.kv_heads, "past", c.head_dim]
    g.save(
        path,
        [
            ("token", np.int64, ["batch"]),
            ("past_kv", np.float32, kv),
            ("past_lengths", np.int64, ["batch"]),
            ("steps", np.int64, []),
        ],
        [
            ("tokens", np.int64, ["batch", "steps"]),
            ("hidden", np.float32, ["batch", "steps", c.hidden]),
            ("logprobs", np.float32, ["batch", "steps"]),
            ("kv", np.float32, [2 * c.layers, "batch", c.kv_heads, "steps", c.head_dim]),
        ],
    )


_zero = numpy_helper.from_array(np.zeros(1, np.float32))


def _name(g: Graph, outputs: dict[str, str]) -> None:
    for name, value in outputs.items():
        g.output(name, value)
