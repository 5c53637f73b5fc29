"""The language model's layers as ONNX nodes over the weights that `onnx_weights` placed.

Nodes are written from the configuration rather than traced, so that the layout of the weights and the arithmetic (8-bit
integer products with one scale per token, hence independent of the other rows of a batch) are exactly what the bundle
promises. Shapes in comments: B rows, S new positions, M = B * S, P past positions, H hidden, Q query heads, K key/value
heads, G = Q / K, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from onnx import TensorProto

from segue_training.bundle.quantize import BLOCK
from segue_training.model.language import LanguageConfig, rope_frequencies

from .graph import CONTRIB, Graph, WeightFiles
from .weights import FLOAT16, FLOAT32, INT4, INT8, linear_sizes

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_ZERO = 128  # what stands for 0 in activations of uint8
MASKED = -1e30  # finite, so that a padded query without any key gives no NaN


@dataclass(frozen=True)
class Step:
    """What the layers share: names of tensors in the graph."""

    cosine: str  # float[B, S, D / 2]
    sine: str
    rows: str  # int64[3] = B, S, -1
    query: str  # int64[5] = B, S, K, G, D
    keys: str  # int64[4] = B, S, K, D
    mixed: str  # int64[5] = B, K, G, S, D
    past_bias: str  # float[B, 1, 1, P]
    cuts: str  # int64[2], positions of the picture's prefix among the new ones, and behind it
    new_biases: tuple[str, str]  # float[1, 1, G * S, n] for either of them


class LanguageGraph:
    """The model's pieces as nodes of `graph`."""

    def __init__(self, config: LanguageConfig, weights: WeightFiles, precision: str):
        if precision == INT8 and config.lora_rank == 0:
            raise ValueError(f"{INT8} takes a model with LoRA; without it choose {FLOAT32}, {FLOAT16} or {INT4}")
        self.config, self.precision = config, precision
        self._sizes = linear_sizes(config)
        self.graph = Graph(weights)
        self._expanded: dict[str, str] = {}
        self._low_ranks: dict[str, tuple[str, str]] = {}

    # Weights: nodes over constants only, which the runtime computes once when it loads the graph.

    def _expand(self, name: str) -> str:
        """int8[inputs, outputs], from the stored 4-bit blocks."""
        if name not in self._expanded:
            g = self.graph
            levels = g.op("Cast", g.weight(f"{name}.levels"), to=_FLOAT)
            inverse = g.op("Cast", g.weight(f"{name}.inverse"), to=_FLOAT)
            start = g.weight(f"{name}.start")
            self._expanded[name] = g.op("QuantizeLinear", levels, inverse, start, axis=0, block_size=BLOCK)
        return self._expanded[name]

    def _half_head(self, wide: bool) -> str:
        """The head float16[H, vocab], or float32 if `wide`. A tied head is stored as the embedding gathers it, [vocab, H]."""
        g, tied = self.graph, self.config.tied_head
        stored = g.op("Transpose", g.weight("embedding"), perm=[1, 0]) if tied else g.weight("head")
        return g.op("Cast", stored, to=_FLOAT) if wide else stored

    def _low_rank(self, name: str) -> tuple[str, str]:
        """A float[inputs, r] and B float[r, outputs] of everything that is added to the integer product in float32.

        That is the LoRA of the n projections, B block-diagonal over them, and behind it the outlier channels: A picks
        them, B holds their rows of the base weight.
        """
        if name not in self._low_ranks:
            g, (_, outputs) = self.graph, self._sizes[name.split(".")[1]]
            rows = []
            for part in range(len(outputs)):
                b = g.op("Cast", g.weight(f"{name}.lora_b{part}"), to=_FLOAT)
                sides = [0, sum(outputs[:part]), 0, sum(outputs[part + 1 :])]
                rows.append(g.op("Pad", b, g.constant(sides)))
            columns = [g.op("Cast", g.weight(f"{name}.lora_a"), to=_FLOAT)]
            if self.precision == INT8:
                columns.append(g.op("Transpose", self._picked(name), perm=[1, 0]))
                kept = g.op("Cast", g.op("Gather", self._expand(name), g.weight(f"{name}.outliers")), to=_FLOAT)
                rows.append(g.op("Mul", kept, g.weight(f"{name}.scale")))
            self._low_ranks[name] = (g.op("Concat", *columns, axis=1), g.op("Concat", *rows, axis=0))
        return self._low_ranks[name]

    def _picked(self, name: str) -> str:
        """float[outliers, inputs], a 1 for each outlier channel"""
        g, (inputs, _) = self.graph, self._sizes[name.split(".")[1]]
        return g.op("OneHot", g.weight(f"{name}.outliers"), g.constant(inputs), g.constant([0, 1], np.float32))

    def _others(self, name: str) -> str:
        """float[inputs], 0 for each outlier channel and 1 for the rest"""
        key = f"{name}.others"
        if key not in self._expanded:
            g = self.graph
            any_picked = g.op("ReduceMax", self._picked(name), g.constant([0]), keepdims=0)
            self._expanded[key] = g.op("Sub", g.constant(1, np.float32), any_picked)
        return self._expanded[key]

    # Arithmetic

    def _integer_product(self, x: str, weight: str, weight_scale: str) -> str:
        """x float[M, inputs] times int8[inputs, outputs]; each row of x is quantised by its own largest value.

        Exact, but on x86 without VNNI only in a session with `x64quantprecision`: ONNX Runtime would add pairs of products in 16
        bits there, where they overflow.
        """
        g = self.graph
        largest = g.op("ReduceMax", g.op("Abs", x), g.constant([1]), keepdims=1)  # [M, 1]
        scale = g.op("Div", g.op("Max", largest, g.constant(1e-8, np.float32)), g.constant(127, np.float32))
        flat = g.op("Squeeze", scale, g.constant([1]))
        middle = g.op("Expand", g.constant(_ZERO, np.uint8), g.op("Shape", flat))
        rounded = g.op("QuantizeLinear", x, flat, middle, axis=0)
        one, zero = g.constant(1, np.float32), g.constant(_ZERO, np.uint8)
        product = g.op("MatMulIntegerToFloat", rounded, weight, one, weight_scale, zero, domain=CONTRIB)
        return g.op("Mul", product, scale)

    def _half_product(self, x: str, weight: str) -> str:
        """x float[M, inputs] times float16[inputs, outputs] in float16; sums between layers stay float32."""
        g = self.graph
        return g.op("Cast", g.op("MatMul", g.op("Cast", x, to=_HALF), weight), to=_FLOAT)

    def _block_product(self, x: str, name: str) -> str:
        """x float[M, inputs] times 4-bit blocks; the runtime rounds x to 8 bits in blocks of the same size."""
        g = self.graph
        inputs, outputs = self._sizes[name.split(".")[1]]
        parts = [g.weight(f"{name}{part}") for part in ("", ".scale", ".zero")]
        sizes = {"K": inputs, "N": sum(outputs), "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
        return g.op("MatMulNBits", x, *parts, domain=CONTRIB, **sizes)

    def linear(self, x: str, name: str) -> str:
        """float[M, inputs] -> float[M, outputs], base plus low-rank update"""
        g = self.graph
        if self.precision == FLOAT32:
            base = g.op("MatMul", x, g.weight(name))
        elif self.precision == FLOAT16:
            base = self._half_product(x, g.weight(name))
        elif self.precision == INT4:
            base = self._block_product(x, name)
        else:
            usual = g.op("Mul", x, self._others(name))
            base = self._integer_product(usual, self._expand(name), g.weight(f"{name}.scale"))
        if self.config.lora_rank == 0:
            return base
        a, b = self._low_rank(name)
        return g.op("Gemm", g.op("MatMul", x, a), b, base)

    def norm(self, x: str, name: str) -> str:
        g = self.graph
        return g.op("RMSNormalization", x, g.weight(name), axis=-1, epsilon=self.config.norm_eps)

    def embed(self, ids: str) -> str:
        """int64[n] -> float[n, H]; ids beyond the base vocabulary take the trained rows, or the last one without any."""
        g = self.graph
        last = g.constant(self.config.vocab_size - 1)
        known = g.op("Min", ids, last)
        if self.precision in (FLOAT16, INT4):
            rows = g.op("Cast", g.op("Gather", g.weight("embedding"), known), to=_FLOAT)
        else:
            columns = g.op("Gather", g.weight("embedding"), known, axis=1)  # [H, n]
            rows = g.op("Transpose", columns, perm=[1, 0])
        if self.precision == INT8:
            scale = g.op("Unsqueeze", g.op("Gather", g.weight("embedding.scale"), known), g.constant([1]))
            rows = g.op("Mul", g.op("Cast", rows, to=_FLOAT), scale)
        if self.config.new_tokens == 0:
            return rows
        extra = g.op("Max", g.op("Sub", ids, g.constant(self.config.vocab_size)), g.constant(0))
        new = g.op("Gather", g.weight("new_embedding"), extra)
        return g.op("Where", g.op("Unsqueeze", g.op("Greater", ids, last), g.constant([1])), new, rows)

    def choose(self, hidden: str, starts: str, bias: dict[int, float]) -> tuple[str, str]:
        """hidden float[n, H] -> greedy token int64[n] and its log-probability float[n].

        bias: amounts added to the logits of single tokens where `starts`, bool[n, 1], says so.
        """
        g = self.graph
        table, new = ("embedding", "new_embedding") if self.config.tied_head else ("head", "new_head")
        if self.precision == FLOAT32:
            logits = g.op("MatMul", hidden, g.weight(table))
        elif self.precision == INT8:
            logits = self._integer_product(hidden, g.weight(table), g.weight(f"{table}.scale"))
        elif self.precision == INT4:
            logits = g.op("MatMul", hidden, self._half_head(wide=True))
        else:
            logits = self._half_product(hidden, self._half_head(wide=False))
        if self.config.new_tokens:
            added = g.op("MatMul", hidden, g.op("Transpose", g.weight(new), perm=[1, 0]))
            logits = g.op("Concat", logits, added, axis=-1)
        if bias:
            size = self.config.vocab_size + self.config.new_tokens
            nothing = g.op("Expand", g.constant(0, np.float32), g.constant([size]))
            places, amounts = g.constant([[token] for token in bias]), g.constant(list(bias.values()), np.float32)
            added = g.op("ScatterND", nothing, places, amounts)
            logits = g.op("Add", logits, g.op("Mul", g.op("Cast", starts, to=_FLOAT), added))
        token = g.op("ArgMax", logits, axis=-1, keepdims=0)
        best = g.op("ReduceMax", logits, g.constant([1]), keepdims=0)
        return token, g.op("Sub", best, g.op("ReduceLogSumExp", logits, g.constant([1]), keepdims=0))

    def step(self, rows: str, length: str, positions: str, past_bias: str, new_bias: str, cuts: str) -> Step:
        """rows, length: int64[1], the sizes B and S. positions: int64[B, S]. new_bias: float[1, 1, G * S, S]."""
        g = self.graph
        c, group = self.config, self.config.heads // self.config.kv_heads

        def sizes(*parts: str | int) -> str:
            names = [part if isinstance(part, str) else g.constant([part]) for part in parts]
            return g.op("Concat", *names, axis=0)

        frequencies = g.constant(rope_frequencies(self.config).numpy(), np.float32)
        angles = g.op("Mul", g.op("Unsqueeze", g.op("Cast", positions, to=_FLOAT), g.constant([2])), frequencies)
        return Step(
            cosine=g.op("Cos", angles),
            sine=g.op("Sin", angles),
            rows=sizes(rows, length, -1),
            query=sizes(rows, length, c.kv_heads, group, c.head_dim),
            keys=sizes(rows, length, c.kv_heads, c.head_dim),
            mixed=sizes(rows, c.kv_heads, group, length, c.head_dim),
            past_bias=past_bias,
            cuts=cuts,
            new_biases=self._halves(new_bias, cuts, 3),
        )

    def layer(self, step: Step, index: int, x: str, past: tuple[str, str]) -> tuple[str, str, str]:
        """One layer over x float[M, H].

        past: transposed keys float[B, K, D, P] and values with a column of ones, float[B, K, P, D + 1]. Returns x, and
        keys and values of the new positions, float[B, K, D, S] and float[B, K, S, D].
        """
        c, g = self.config, self.graph
        both, one = (c.heads + c.kv_heads) * c.head_dim, c.kv_heads * c.head_dim
        qkv = self.linear(self.norm(x, f"{index}.attention_norm"), f"{index}.qkv")
        qk, v = g.ops("Split", g.op("Reshape", qkv, step.rows), g.constant([both, one]), outputs=2, axis=-1)
        qk = g.op("RotaryEmbedding", qk, step.cosine, step.sine, num_heads=c.heads + c.kv_heads)
        q, k = g.ops("Split", qk, g.constant([both - one, one]), outputs=2, axis=-1)
        q = g.op("Transpose", g.op("Reshape", q, step.query), perm=[0, 2, 3, 1, 4])
        q = g.op("Reshape", q, g.constant([0, 0, -1, c.head_dim]))  # [B, K, G * S, D]
        k = g.op("Transpose", g.op("Reshape", k, step.keys), perm=[0, 2, 3, 1])
        v = g.op("Transpose", g.op("Reshape", v, step.keys), perm=[0, 2, 1, 3])
        new = zip(self._halves(k, step.cuts, 3), self._halves(self._with_ones(v), step.cuts, 2), step.new_biases, strict=True)
        mixed = self._attend(step, q, [(*past, step.past_bias), *new])
        x = g.op("Add", x, self.linear(mixed, f"{index}.out"))
        gated = self.linear(self.norm(x, f"{index}.ffn_norm"), f"{index}.gate_up")
        gate, up = g.ops("Split", gated, outputs=2, axis=-1, num_outputs=2)
        active = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        return g.op("Add", x, self.linear(active, f"{index}.down")), k, v

    def _attend(self, step: Step, q: str, parts: list[tuple[str, str, str]]) -> str:
        """q float[B, K, G * S, D] over the parts one after the other, without joining them -> float[M, Q * D]

        The values of a part carry a last column of ones, [B, K, n, D + 1], so that one product gives the weighted sum and the
        sum of the weights. It adds up from the first position on; what is masked at a part's end adds exact zeros. The sum of a
        Softmax would depend on the length of the row that it adds up, and an answer on how far its neighbours are.
        """
        g = self.graph
        q = g.op("Mul", q, g.constant(self.config.head_dim**-0.5, np.float32))
        scores = [g.op("Add", g.op("MatMul", q, k), bias) for k, _, bias in parts]
        sizes = g.op("Concat", *(g.op("Shape", k, start=3) for k, _, _ in parts), axis=0)
        row = g.op("Concat", *scores, axis=-1)
        exponents = g.op("Exp", g.op("Sub", row, g.op("ReduceMax", row, g.constant([-1]), keepdims=1)))
        weights = g.ops("Split", exponents, sizes, outputs=len(parts), axis=-1)
        products = [g.op("MatMul", part, v) for part, (_, v, _) in zip(weights, parts, strict=True)]
        sums = reduce(lambda one, other: g.op("Add", one, other), products)
        mixed, total = g.ops("Split", sums, g.constant([self.config.head_dim, 1]), outputs=2, axis=-1)
        mixed = g.op("Div", mixed, total)
        mixed = g.op("Transpose", g.op("Reshape", mixed, step.mixed), perm=[0, 3, 1, 2, 4])
        return g.op("Reshape", mixed, g.constant([-1, self.config.heads * self.config.head_dim]))

    def past(self, past_kv: str, past_lengths: str) -> tuple[list[tuple[str, str]], str]:
        """Per layer (transposed keys, values with a column of ones) of the past, and its bias float[B, 1, 1, P]."""
        g, count = self.graph, 2 * self.config.layers
        each = g.ops("Split", past_kv, outputs=count, axis=0, num_outputs=count)
        flat = [g.op("Squeeze", name, g.constant([0])) for name in each]
        pairs = [
            (g.op("Transpose", k, perm=[0, 1, 3, 2]), self._with_ones(v)) for k, v in zip(flat[0::2], flat[1::2], strict=True)
        ]
        positions = g.op("Range", g.constant(0), self.size(past_kv, 3), g.constant(1))
        missing = g.op("GreaterOrEqual", positions, g.op("Unsqueeze", past_lengths, g.constant([1])))
        bias = g.op("Mul", g.op("Cast", missing, to=_FLOAT), g.constant(MASKED, np.float32))
        return pairs, g.op("Unsqueeze", bias, g.constant([1, 2]))

    def _halves(self, x: str, cuts: str, axis: int) -> tuple[str, str]:
        one, other = self.graph.ops("Split", x, cuts, outputs=2, axis=axis)
        return one, other

    def _with_ones(self, v: str) -> str:
        """float[B, K, n, D] -> float[B, K, n, D + 1], the last column 1"""
        g = self.graph
        return g.op("Pad", v, g.constant([0] * 7 + [1]), g.constant(1, np.float32))

    def join(self, pairs: list[tuple[str, str]]) -> str:
        """Per layer (transposed keys, values) -> float[2 * layers, B, K, n, D]"""
        g = self.graph
        flat = [name for k, v in pairs for name in (g.op("Transpose", k, perm=[0, 1, 3, 2]), v)]
        return g.op("Concat", *(g.op("Unsqueeze", name, g.constant([0])) for name in flat), axis=0)

    def size(self, name: str, axis: int) -> str:
        """int64[], a tensor's size along an axis"""
        g = self.graph
        return g.op("Squeeze", g.op("Shape", name, start=axis, end=axis + 1), g.constant([0]))
