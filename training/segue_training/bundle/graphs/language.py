"""The language model as an ONNX graph that reads new tokens behind a past and chooses what follows the last of them.

One graph reads pictures and questions and writes answers: fed one token it takes a greedy step; fed a draft as well, it says
in one run how much of the draft the model would have written itself (speculative decoding, Leviathan et al. 2023, section 2,
greedy case).

Shapes in comments: B rows, S new positions, P past positions, L last positions, H hidden, G query heads to a key/value head.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

from segue_training.model.language import LanguageConfig

from .graph import WeightFiles
from .layers import MASKED, LanguageGraph


def build_language(
    config: LanguageConfig, weights: WeightFiles, precision: str, image_id: int, first_token_bias: dict[int, float], path: Path
) -> None:
    """Write the graph. Rows may have different lengths and pasts.

    first_token_bias: added to these tokens' logits where an answer begins, a calibration of how it begins.
    """
    c, group = config, config.heads // config.kv_heads
    build = LanguageGraph(config, weights, precision)
    g = build.graph
    rows, length = (g.op("Shape", "input_ids", start=axis, end=axis + 1) for axis in (0, 1))
    span = build.size("input_ids", 1)
    order = g.op("Range", g.constant(0), span, g.constant(1))  # [S]
    later = g.op("Greater", order, g.op("Unsqueeze", order, g.constant([1])))  # [S, S]
    causal = g.op("Mul", g.op("Cast", later, to=TensorProto.FLOAT), g.constant(MASKED, np.float32))
    causal = g.op("Unsqueeze", g.op("Tile", causal, g.constant([group, 1])), g.constant([0, 1]))
    past, past_bias = build.past("past_kv", "past_lengths")
    positions = g.op("Add", g.op("Unsqueeze", "past_lengths", g.constant([1])), order)
    text = build.embed(g.op("Reshape", "input_ids", g.constant([-1])))
    is_image = g.op("Equal", "input_ids", g.constant(image_id))  # [B, S]
    # Where a picture's prefix ends. Attention adds up over it apart from what comes behind it, as it does over a past, so that
    # a question that is read together with its picture is read to the same bits as one behind the picture's cache.
    place = g.op("Mul", g.op("Cast", is_image, to=TensorProto.INT64), g.op("Add", order, g.constant(1)))
    prefix = g.op("ReduceMax", place, keepdims=0)
    cuts = g.op("Concat", *(g.op("Unsqueeze", n, g.constant([0])) for n in (prefix, g.op("Sub", span, prefix))), axis=0)
    step = build.step(rows, length, positions, past_bias, causal, cuts)
    nth = g.op("Sub", g.op("CumSum", g.op("Cast", is_image, to=TensorProto.INT64), g.constant(1)), g.constant(1))
    furthest = g.op("Sub", build.size("visual_tokens", 1), g.constant(1))
    nth = g.op("Min", g.op("Max", nth, g.constant(0)), furthest)
    seen = g.op("GatherND", "visual_tokens", g.op("Unsqueeze", nth, g.constant([2])), batch_dims=1)
    flat = [g.op("Reshape", name, g.constant([-1, size])) for name, size in ((is_image, 1), (seen, c.hidden))]
    x, new = g.op("Where", *flat, text), []
    for index in range(c.layers):
        x, k, v = build.layer(step, index, x, past[index])
        new.append((k, v))

    first = g.op("Unsqueeze", g.op("Sub", "lengths", "last"), g.constant([1]))
    wanted = g.op("Add", first, g.op("Range", g.constant(0), "last", g.constant(1)))  # [B, L]
    wanted = g.op("Max", wanted, g.constant(0))
    starts = g.op("Equal", wanted, g.op("Unsqueeze", "answer_starts", g.constant([1])))
    x = g.op("GatherND", g.op("Reshape", x, step.rows), g.op("Unsqueeze", wanted, g.constant([2])), batch_dims=1)  # [B, L, H]
    hidden = build.norm(x, "norm")
    token, logprob = build.choose(
        g.op("Reshape", hidden, g.constant([-1, c.hidden])), g.op("Reshape", starts, g.constant([-1, 1])), first_token_bias
    )
    sizes = g.op("Shape", wanted)
    outputs = {
        "kv": build.join(new),
        "hidden": hidden,
        "tokens": g.op("Reshape", token, sizes),
        "logprobs": g.op("Reshape", logprob, sizes),
    }
    for name, value in outputs.items():
        g.output(name, value)
    planes, heads, size = 2 * c.layers, c.kv_heads, c.head_dim
    g.save(
        path,
        [
            ("input_ids", np.int64, ["batch", "seq"]),
            ("lengths", np.int64, ["batch"]),
            ("visual_tokens", np.float32, ["batch", "visual", c.hidden]),
            ("past_kv", np.float32, [planes, "batch", heads, "past", size]),
            ("past_lengths", np.int64, ["batch"]),
            ("answer_starts", np.int64, ["batch"]),
            ("last", np.int64, []),
        ],
        [
            ("kv", np.float32, [planes, "batch", heads, "seq", size]),
            ("hidden", np.float32, ["batch", "last", c.hidden]),
            ("tokens", np.int64, ["batch", "last"]),
            ("logprobs", np.float32, ["batch", "last"]),
        ],
    )
