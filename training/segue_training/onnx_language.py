"""The language model as two ONNX graphs over the same weights: `prefill` and `decode`.

Both are written node by node from the configuration rather than traced, so that their borders, the layout of the weights
and the arithmetic (8-bit integer products with one scale per token, hence independent of the other rows of a batch) are
exactly what the bundle promises. Shapes in comments: B rows, S new positions, M = B * S, P past positions, H hidden,
Q query heads, K key/value heads, G = Q / K, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnx import numpy_helper

from .language import LanguageModel, LoraLinear
from .onnx_graph import CONTRIB, Graph, WeightFiles
from .quantize import channel_scale, to_blocks, to_int8

INT8, FLOAT32 = "int8", "float32"
_MASKED = -1e30  # finite, so that a padded query without any key gives no NaN

def place_language_weights(weights: WeightFiles, model: LanguageModel, precision: str) -> None:
    """Write the frozen base to `language-base-*.bin` and what was trained to `language-tuned-*.bin`."""
    c = model.config
    table = _numpy(model.embedding)
    _place_table(weights, "embedding", table, precision)
    if not c.tied_head:
        _place_table(weights, "head", _numpy(model.head), precision)
    weights.add("language-tuned", "new_embedding", _numpy(model.new_embedding))
    if model.new_head is not None:
        weights.add("language-tuned", "new_head", _numpy(model.new_head))
    for index, layer in enumerate(model.layers):
        for name in ("attention_norm", "ffn_norm"):
            weights.add("language-base", f"{index}.{name}", _numpy(getattr(layer, name).weight))
        for name in ("qkv", "out", "gate_up", "down"):
            _place_linear(weights, f"{index}.{name}", getattr(layer, name), precision)
    weights.add("language-base", "norm", _numpy(model.norm.weight))


def _place_table(weights: WeightFiles, name: str, table: np.ndarray, precision: str) -> None:
    """Stored [H, vocab]: the layout that the head multiplies by; the embedding gathers columns."""
    if precision == FLOAT32:
        weights.add("language-base", name, table.T)
        return
    scale = channel_scale(table, axis=1)  # [vocab]
    weights.add("language-base", name, to_int8(table, scale[:, None]).T)
    weights.add("language-base", f"{name}.scale", scale)


def _place_linear(weights: WeightFiles, name: str, linear: LoraLinear, precision: str) -> None:
    weight = _numpy(linear.weight).T  # [inputs, outputs]
    if precision == FLOAT32:
        weights.add("language-base", name, weight)
    else:
        blocks = to_blocks(weight)
        weights.add("language-base", f"{name}.levels", blocks.levels, nibbles=True)
        weights.add("language-base", f"{name}.block_scale", blocks.scale)
        weights.add("language-base", f"{name}.block_low", blocks.low)
        weights.add("language-base", f"{name}.scale", channel_scale(blocks.expand(), axis=0))
    stored = np.float32 if precision == FLOAT32 else np.float16
    weights.add("language-tuned", f"{name}.lora_a", _numpy(linear.lora_a).T.astype(stored))
    for part, b in enumerate(linear.lora_b):
        weights.add("language-tuned", f"{name}.lora_b{part}", (_numpy(b).T * linear.scale).astype(stored))


@dataclass(frozen=True)
class Step:
    """What the layers of one pass share: names of tensors in the graph `g`."""

    g: Graph
    cosine: str  # float[B, S, D / 2]
    sine: str
    rows: str  # int64[3] = B, S, -1
    query: str  # int64[5] = B, S, K, G, D
    keys: str  # int64[4] = B, S, K, D
    mixed: str  # int64[5] = B, K, G, S, D
    past_bias: str  # float[B, 1, 1, P]
    new_bias: str | None  # float[1, 1, G * S, S]; None if each position sees all new ones


class LanguageGraph:
    """The model's pieces as nodes. `outer` is the outermost graph; weights are expanded there, once."""

    def __init__(self, model: LanguageModel, weights: WeightFiles, precision: str):
        self.model, self.config, self.precision = model, model.config, precision
        self.outer = Graph(weights)
        self._expanded: dict[str, str] = {}

    # Weights: nodes over constants only, which the runtime computes once when it loads the graph.

    def _expand(self, name: str) -> str:
        """int8[inputs, outputs] from stored 4-bit blocks."""
        if name not in self._expanded:
            g = self.outer
            levels, scale, low = (
                g.op("Cast", g.weight(f"{name}.{part}"), to=1) for part in ("levels", "block_scale", "block_low")
            )
            blocks = g.op("Add", g.op("Mul", levels, scale), low)  # [inputs / 32, 32, outputs]
            steps = g.op("Round", g.op("Div", blocks, g.weight(f"{name}.scale")))
            flat = g.op("Cast", steps, to=3)
            outputs = self._outputs(name)
            self._expanded[name] = g.op("Reshape", flat, g.constant([-1, sum(outputs)]))
        return self._expanded[name]

    def _lora(self, name: str) -> tuple[str, str]:
        """A float[inputs, n * rank] and B float[n * rank, outputs], block-diagonal over the n projections."""
        key = f"{name}.lora"
        if key not in self._expanded:
            g, rank, outputs = self.outer, self.config.lora_rank, self._outputs(name)
            rows = []
            for part in range(len(outputs)):
                b = g.op("Cast", g.weight(f"{name}.lora_b{part}"), to=1)
                sides = [0, sum(outputs[:part]), 0, sum(outputs[part + 1 :])]
                rows.append(g.op("Pad", b, g.constant(sides)) if len(outputs) > 1 else b)
            joined = g.op("Concat", *rows, axis=0) if len(rows) > 1 else rows[0]
            self._expanded[key] = (g.op("Cast", g.weight(f"{name}.lora_a"), to=1), joined)
        return self._expanded[key]

    def _outputs(self, name: str) -> tuple[int, ...]:
        return getattr(self.model.layers[0], name.split(".")[1]).outputs

    # Arithmetic

    def _integer_product(self, g: Graph, x: str, weight: str, weight_scale: str) -> str:
        """x float[M, inputs] times int8[inputs, outputs]; each row of x is quantised by its own largest value."""
        largest = g.op("ReduceMax", g.op("Abs", x), g.constant([1]), keepdims=1)  # [M, 1]
        scale = g.op("Div", g.op("Max", largest, g.constant(1e-8, np.float32)), g.constant(127, np.float32))
        flat = g.op("Squeeze", scale, g.constant([1]))
        middle = g.op("Expand", g.constant(128, np.uint8), g.op("Shape", flat))
        rounded = g.op("QuantizeLinear", x, flat, middle, axis=0)
        one, zero_point = g.constant(1, np.float32), g.constant(128, np.uint8)
        product = g.op("MatMulIntegerToFloat", rounded, weight, one, weight_scale, zero_point, domain=CONTRIB)
        return g.op("Mul", product, scale)

    def linear(self, g: Graph, x: str, name: str) -> str:
        """float[M, inputs] -> float[M, outputs], base plus low-rank update"""
        if self.precision == FLOAT32:
            base = g.op("MatMul", x, g.weight(name))
        else:
            base = self._integer_product(g, x, self._expand(name), g.weight(f"{name}.scale"))
        a, b = self._lora(name)
        return g.op("Add", base, g.op("MatMul", g.op("MatMul", x, a), b))

    def norm(self, g: Graph, x: str, name: str) -> str:
        return g.op("RMSNormalization", x, g.weight(name), axis=-1, epsilon=self.config.norm_eps)

    def embed(self, g: Graph, ids: str) -> str:
        """int64[n] -> float[n, H]; ids beyond the base vocabulary take the trained rows."""
        last = g.constant(self.config.vocab_size - 1)
        known = g.op("Min", ids, last)
        columns = g.op("Gather", g.weight("embedding"), known, axis=1)  # [H, n]
        rows = g.op("Transpose", columns, perm=[1, 0])
        if self.precision == INT8:
            scale = g.op("Unsqueeze", g.op("Gather", g.weight("embedding.scale"), known), g.constant([1]))
            rows = g.op("Mul", g.op("Cast", rows, to=1), scale)
        extra = g.op("Max", g.op("Sub", ids, g.constant(self.config.vocab_size)), g.constant(0))
        new = g.op("Gather", g.weight("new_embedding"), extra)
        return g.op("Where", g.op("Unsqueeze", g.op("Greater", ids, last), g.constant([1])), new, rows)

    def choose(self, g: Graph, hidden: str) -> tuple[str, str]:
        """hidden float[B, H] -> greedy token int64[B] and its log-probability float[B]"""
        table, new = ("embedding", "new_embedding") if self.config.tied_head else ("head", "new_head")
        if self.precision == FLOAT32:
            base = g.op("MatMul", hidden, g.weight(table))
        else:
            base = self._integer_product(g, hidden, g.weight(table), g.weight(f"{table}.scale"))
        added = g.op("MatMul", hidden, g.op("Transpose", g.weight(new), perm=[1, 0]))
        logits = g.op("Concat", base, added, axis=-1)
        token = g.op("ArgMax", logits, axis=-1, keepdims=0)
        best = g.op("ReduceMax", logits, g.constant([1]), keepdims=0)
        return token, g.op("Sub", best, g.op("ReduceLogSumExp", logits, g.constant([1]), keepdims=0))

    def step(self, g: Graph, rows: str, length: str, positions: str, past_bias: str, new_bias: str | None) -> Step:
        """rows, length: int64[1], the sizes B and S. positions: int64[B, S]."""
        c, group = self.config, self.config.heads // self.config.kv_heads

        def sizes(*parts: str | int) -> str:
            names = [part if isinstance(part, str) else g.constant([part]) for part in parts]
            return g.op("Concat", *names, axis=0)

        frequencies = g.constant(_numpy(self.model.frequencies), np.float32)
        angles = g.op("Mul", g.op("Unsqueeze", g.op("Cast", positions, to=1), g.constant([2])), frequencies)
        return Step(
            g,
            cosine=g.op("Cos", angles),
            sine=g.op("Sin", angles),
            rows=sizes(rows, length, -1),
            query=sizes(rows, length, c.kv_heads, group, c.head_dim),
            keys=sizes(rows, length, c.kv_heads, c.head_dim),
            mixed=sizes(rows, c.kv_heads, group, length, c.head_dim),
            past_bias=past_bias,
            new_bias=new_bias,
        )

    def layer(
        self, step: Step, index: int, x: str, past: tuple[str, str], earlier: tuple[str, str] | None = None
    ) -> tuple[str, str, str]:
        """One layer over x float[M, H].

        past and earlier: transposed keys float[B, K, D, n] and values float[B, K, n, D]; `earlier` are new positions of
        steps before this one. Returns x, and keys and values of all new positions in the same layouts.
        """
        c, g = self.config, step.g
        both, one = (c.heads + c.kv_heads) * c.head_dim, c.kv_heads * c.head_dim
        qkv = self.linear(g, self.norm(g, x, f"{index}.attention_norm"), f"{index}.qkv")
        qk, v = g.op("Split", g.op("Reshape", qkv, step.rows), g.constant([both, one]), outputs=2, axis=-1)
        qk = g.op("RotaryEmbedding", qk, step.cosine, step.sine, num_heads=c.heads + c.kv_heads)
        q, k = g.op("Split", qk, g.constant([both - one, one]), outputs=2, axis=-1)
        q = g.op("Transpose", g.op("Reshape", q, step.query), perm=[0, 2, 3, 1, 4])
        q = g.op("Reshape", q, g.constant([0, 0, -1, c.head_dim]))  # [B, K, G * S, D]
        k = g.op("Transpose", g.op("Reshape", k, step.keys), perm=[0, 2, 3, 1])
        v = g.op("Transpose", g.op("Reshape", v, step.keys), perm=[0, 2, 1, 3])
        if earlier is not None:
            k, v = g.op("Concat", earlier[0], k, axis=3), g.op("Concat", earlier[1], v, axis=2)
        mixed = self._attend(step, q, [(*past, step.past_bias), (k, v, step.new_bias)])
        x = g.op("Add", x, self.linear(g, mixed, f"{index}.out"))
        both = self.linear(g, self.norm(g, x, f"{index}.ffn_norm"), f"{index}.gate_up")
        gate, up = g.op("Split", both, outputs=2, axis=-1, num_outputs=2)
        active = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        return g.op("Add", x, self.linear(g, active, f"{index}.down")), k, v

    def _attend(self, step: Step, q: str, parts: list[tuple[str, str, str | None]]) -> str:
        """q float[B, K, G * S, D] over the parts one after the other, without joining them -> float[M, Q * D]"""
        g = step.g
        q = g.op("Mul", q, g.constant(self.config.head_dim**-0.5, np.float32))
        scores = [g.op("MatMul", q, k) for k, _, _ in parts]
        scores = [s if bias is None else g.op("Add", s, bias) for s, (_, _, bias) in zip(scores, parts, strict=True)]
        sizes = g.op("Concat", *(g.op("Shape", k, start=3) for k, _, _ in parts), axis=0)
        shares = g.op("Split", g.op("Softmax", g.op("Concat", *scores, axis=-1), axis=-1), sizes, outputs=2, axis=-1)
        mixed = g.op("Add", *(g.op("MatMul", share, v) for share, (_, v, _) in zip(shares, parts, strict=True)))
        mixed = g.op("Transpose", g.op("Reshape", mixed, step.mixed), perm=[0, 3, 1, 2, 4])
        return g.op("Reshape", mixed, g.constant([-1, self.config.heads * self.config.head_dim]))

    def past(self, past_kv: str, past_lengths: str) -> tuple[list[tuple[str, str]], str]:
        """Per layer (transposed keys, values) of the past, and its bias float[B, 1, 1, P]."""
        g, count = self.outer, 2 * self.config.layers
        each = g.op("Split", past_kv, outputs=count, axis=0, num_outputs=count)
        flat = [g.op("Squeeze", name, g.constant([0])) for name in each]
        pairs = [(g.op("Transpose", k, perm=[0, 1, 3, 2]), v) for k, v in zip(flat[0::2], flat[1::2], strict=True)]
        positions = g.op("Range", g.constant(0), self._size(past_kv, 3), g.constant(1))
        missing = g.op("GreaterOrEqual", positions, g.op("Unsqueeze", past_lengths, g.constant([1])))
        bias = g.op("Mul", g.op("Cast", missing, to=1), g.constant(_MASKED, np.float32))
        return pairs, g.op("Unsqueeze", bias, g.constant([1, 2]))

    def join(self, pairs: list[tuple[str, str]]) -> str:
        """Per layer (transposed keys, values) -> float[2 * layers, B, K, n, D]"""
        g = self.outer
        flat = [name for k, v in pairs for name in (g.op("Transpose", k, perm=[0, 1, 3, 2]), v)]
        return g.op("Concat", *(g.op("Unsqueeze", name, g.constant([0])) for name in flat), axis=0)

    def _size(self, name: str, axis: int) -> str:
        """int64[], a tensor's size along an axis"""
        g = self.outer
        return g.op("Squeeze", g.op("Shape", name, start=axis, end=axis + 1), g.constant([0]))


def build_prefill(model: LanguageModel, weights: WeightFiles, precision: str, image_id: int, path: Path) -> None:
    """Write the graph that reads new positions behind a past, of rows of different lengths."""
    c, group = model.config, model.config.heads // model.config.kv_heads
    build = LanguageGraph(model, weights, precision)
    g = build.outer
    rows, length = (g.op("Shape", "input_ids", start=axis, end=axis + 1) for axis in (0, 1))
    order = g.op("Range", g.constant(0), build._size("input_ids", 1), g.constant(1))  # [S]
    later = g.op("Greater", order, g.op("Unsqueeze", order, g.constant([1])))  # [S, S]
    causal = g.op("Mul", g.op("Cast", later, to=1), g.constant(_MASKED, np.float32))
    causal = g.op("Unsqueeze", g.op("Tile", causal, g.constant([group, 1])), g.constant([0, 1]))
    past, past_bias = build.past("past_kv", "past_lengths")
    positions = g.op("Add", g.op("Unsqueeze", "past_lengths", g.constant([1])), order)
    step = build.step(g, rows, length, positions, past_bias, causal)

    text = build.embed(g, g.op("Reshape", "input_ids", g.constant([-1])))
    is_image = g.op("Equal", "input_ids", g.constant(image_id))  # [B, S]
    nth = g.op("Sub", g.op("CumSum", g.op("Cast", is_image, to=7), g.constant(1)), g.constant(1))
    last = g.op("Sub", build._size("visual_tokens", 1), g.constant(1))
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
    token, logprob = build.choose(g, hidden)
    _name(g, {"kv": build.join(new), "hidden": hidden, "token": token, "logprob": logprob})
    kv = [2 * c.layers, "batch", c.kv_heads, "past", c.head_dim]
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


def build_decode(model: LanguageModel, weights: WeightFiles, precision: str, path: Path) -> None:
    """Write the graph that takes `steps` greedy steps in a Loop; new keys and values travel, the past stays outside."""
    c = model.config
    build = LanguageGraph(model, weights, precision)
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
    carried = [
        (name, np.float32, ["batch", c.kv_heads, *sizes])
        for name, sizes in zip(names, [[c.head_dim, "steps"], ["steps", c.head_dim]] * c.layers, strict=True)
    ]
    grown = [(name, dtype, shape[:2] + [None, None]) for name, (_, dtype, shape) in zip(new, carried, strict=True)]
    body = b.proto(
        "step",
        [("iteration", np.int64, []), ("go_on", np.bool_, []), ("fed", np.int64, ["batch"]), *carried],
        [
            (b.op("Identity", "go_on"), np.bool_, []), (token, np.int64, ["batch"]), *grown,
            (chosen, np.int64, ["batch"]), (hidden, np.float32, ["batch", c.hidden]), (logprob, np.float32, ["batch"]),
        ],
    )  # fmt: skip
    results = g.op("Loop", "steps", g.constant(True, np.bool_), "token", *empty, outputs=len(empty) + 4, body=body)
    _, *grown, tokens, hiddens, logprobs = results
    turned = {"tokens": tokens, "hidden": hiddens, "logprobs": logprobs}
    for name, value in turned.items():
        turned[name] = g.op("Transpose", value, perm=[1, 0, 2][: 3 if name == "hidden" else 2])
    _name(g, {**turned, "kv": build.join(list(zip(grown[0::2], grown[1::2], strict=True)))})
    kv = [2 * c.layers, "batch", c.kv_heads, "past", c.head_dim]
    g.save(
        path,
        [
            ("token", np.int64, ["batch"]), ("past_kv", np.float32, kv),
            ("past_lengths", np.int64, ["batch"]), ("steps", np.int64, []),
        ],
        [
            ("tokens", np.int64, ["batch", "steps"]), ("hidden", np.float32, ["batch", "steps", c.hidden]),
            ("logprobs", np.float32, ["batch", "steps"]),
            ("kv", np.float32, [2 * c.layers, "batch", c.kv_heads, "steps", c.head_dim]),
        ],
    )  # fmt: skip


_zero = numpy_helper.from_array(np.zeros(1, np.float32))


def _name(g: Graph, outputs: dict[str, str]) -> None:
    for name, value in outputs.items():
        g.op("Identity", value, outputs=[name])


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
