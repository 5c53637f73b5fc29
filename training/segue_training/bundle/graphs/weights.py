"""The language model's weights in files, at the precision that its graphs compute with.

The layout is one contract with `onnx_layers`. A large model is placed layer by layer, so that it need not be in memory.
"""

from __future__ import annotations

import numpy as np
import torch

from segue_training.bundle.quantize import channel_scale, to_blocks, to_float16, to_int8, to_matmul_blocks
from segue_training.model.language import LanguageConfig, LanguageModel, Layer, LoraLinear, RmsNorm

from .graph import WeightFiles

FLOAT32, FLOAT16 = "float32", "float16"
INT8 = "int8"
"""4-bit blocks that a session expands to 8 bits; LoRA and outlier channels in float32."""
INT4 = "int4"
"""4-bit blocks that stay so in memory (MatMulNBits); embedding and head in float16."""

_BASE, _TUNED = "language-base", "language-tuned"


def linear_sizes(config: LanguageConfig) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Inputs, and outputs of the joined projections, of a layer's linear parts."""
    c = config
    queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
    return {
        "qkv": (c.hidden, (queries, keys, keys)),
        "out": (queries, (c.hidden,)),
        "gate_up": (c.hidden, (c.ffn, c.ffn)),
        "down": (c.ffn, (c.hidden,)),
    }


def place_language_weights(
    weights: WeightFiles, model: LanguageModel, precision: str, outliers: dict[str, np.ndarray] | None = None
) -> None:
    """Write the frozen base to `language-base-*.bin` and what belongs to this training to `language-tuned-*.bin`.

    outliers: for INT8, the result of `find_outliers`.
    """
    place_table(weights, "embedding", model.embedding, precision)
    if model.head is not None:
        place_table(weights, "head", model.head, precision)
    if model.config.new_tokens:
        weights.add(_TUNED, "new_embedding", _numpy(model.new_embedding))
        if model.new_head is not None:
            weights.add(_TUNED, "new_head", _numpy(model.new_head))
    for index, layer in enumerate(model.layers):
        place_layer(weights, index, layer, precision, outliers)
    place_norm(weights, "norm", model.norm)


def place_table(weights: WeightFiles, name: str, table: torch.Tensor, precision: str) -> None:
    """Embedding or head, [vocab, H].

    Stored [H, vocab]: the layout that the head multiplies by, of which the embedding gathers columns. In float16 they are
    never one table, and each has its own best layout.
    """
    if precision in (FLOAT16, INT4):
        weights.add(_BASE, name, to_float16(_numpy(table.T if name == "head" else table), name))
        return
    rows = _numpy(table)
    if precision == FLOAT32:
        weights.add(_BASE, name, rows.T)
        return
    scale = channel_scale(rows, axis=1)  # [vocab]
    weights.add(_BASE, name, to_int8(rows, scale[:, None]).T)
    weights.add(_BASE, f"{name}.scale", scale)


def place_layer(
    weights: WeightFiles, index: int, layer: Layer, precision: str, outliers: dict[str, np.ndarray] | None = None
) -> None:
    for name in ("attention_norm", "ffn_norm"):
        place_norm(weights, f"{index}.{name}", getattr(layer, name))
    for name in ("qkv", "out", "gate_up", "down"):
        _place_linear(weights, f"{index}.{name}", getattr(layer, name), precision)
        if precision == INT8:
            if outliers is None:
                raise ValueError(f"{INT8} needs the outliers of the model")
            weights.add(_TUNED, f"{index}.{name}.outliers", outliers[f"{index}.{name}"])


def place_norm(weights: WeightFiles, name: str, norm: RmsNorm) -> None:
    weights.add(_BASE, name, _numpy(norm.weight))


def _place_linear(weights: WeightFiles, name: str, linear: LoraLinear, precision: str) -> None:
    weight = _numpy(linear.weight).T  # [inputs, outputs]
    if precision == FLOAT32:
        weights.add(_BASE, name, weight)
    elif precision == FLOAT16:
        weights.add(_BASE, name, to_float16(weight, name))
    elif precision == INT4:
        blocks = to_matmul_blocks(weight)
        weights.add(_BASE, name, blocks.packed)
        weights.add(_BASE, f"{name}.scale", blocks.scale)
        weights.add(_BASE, f"{name}.zero", blocks.zero)
    else:
        stored = to_blocks(weight)
        weights.add(_BASE, f"{name}.levels", stored.levels, nibbles=True)
        weights.add(_BASE, f"{name}.inverse", stored.inverse)
        weights.add(_BASE, f"{name}.start", stored.start)
        weights.add(_BASE, f"{name}.scale", stored.channel)
    if linear.rank == 0:
        return
    dtype = np.float32 if precision == FLOAT32 else np.float16
    weights.add(_TUNED, f"{name}.lora_a", _numpy(linear.lora_a).T.astype(dtype))
    for part, b in enumerate(linear.lora_b):
        weights.add(_TUNED, f"{name}.lora_b{part}", (_numpy(b).T * linear.scale).astype(dtype))


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
