"""The language model: a Llama with a frozen base, unmerged LoRA and a few trainable new token rows.

Shapes in comments: B rows, S new positions, P past positions, H hidden, Q heads, K key/value heads, D head size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeyValues = list[tuple[Tensor, Tensor]]
"""Per layer the keys (after RoPE) and values, each float[B, K, positions, D]."""


@dataclass(frozen=True)
class LanguageConfig:
    """Shape of a Llama. The defaults are SmolLM2-135M."""

    vocab_size: int = 49152
    new_tokens: int = 2
    """Rows behind the base vocabulary, trainable: `<SEG>` and `<image>`; 0 if the base has them all."""
    hidden: int = 576
    layers: int = 30
    heads: int = 9
    kv_heads: int = 3
    head_dim: int = 64
    ffn: int = 1536
    rope_base: float = 100_000.0
    norm_eps: float = 1e-5
    tied_head: bool = True
    lora_rank: int = 16
    """0: no low-rank updates, as in a checkpoint whose updates are merged."""
    lora_scale: float = 2.0


class LoraLinear(nn.Module):
    """Several projections of one input: a frozen joint weight and one low-rank update for each of them.

    The base weight is a buffer outside the state dict, so that a checkpoint holds only what was trained.
    """

    weight: Tensor
    """[sum(outputs), inputs]"""

    def __init__(self, inputs: int, outputs: tuple[int, ...], rank: int, scale: float, dtype: torch.dtype):
        super().__init__()
        self.outputs, self.rank, self.scale = outputs, rank, scale
        self.register_buffer("weight", torch.zeros(sum(outputs), inputs, dtype=dtype), persistent=False)
        self.lora_a = nn.Parameter(torch.empty(len(outputs) * rank, inputs))
        self.lora_b = nn.ParameterList(torch.zeros(size, rank) for size in outputs)
        if rank:
            nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """float[..., inputs] -> float[..., sum(outputs)]"""
        if self.rank == 0:
            return frozen_linear(x, self.weight)
        low = F.linear(x, self.lora_a).split(self.rank, dim=-1)
        update = [F.linear(part, b) for part, b in zip(low, self.lora_b, strict=True)]
        return frozen_linear(x, self.weight) + self.scale * torch.cat(update, dim=-1)


class RmsNorm(nn.Module):
    """Root-mean-square normalisation, always computed in float32."""

    weight: Tensor
    """[size]"""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Layer(nn.Module):
    """Grouped-query attention and a SwiGLU feed-forward, both pre-normalised."""

    def __init__(self, config: LanguageConfig, dtype: torch.dtype):
        super().__init__()
        c = self.config = config
        queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
        self.attention_norm = RmsNorm(c.hidden, c.norm_eps)
        self.qkv = LoraLinear(c.hidden, (queries, keys, keys), c.lora_rank, c.lora_scale, dtype)
        self.out = LoraLinear(queries, (c.hidden,), c.lora_rank, c.lora_scale, dtype)
        self.ffn_norm = RmsNorm(c.hidden, c.norm_eps)
        self.gate_up = LoraLinear(c.hidden, (c.ffn, c.ffn), c.lora_rank, c.lora_scale, dtype)
        self.down = LoraLinear(c.ffn, (c.hidden,), c.lora_rank, c.lora_scale, dtype)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], bias: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x float[B, S, H], bias float[B or 1, 1, S, P + S] -> the same shape as x, and (keys, values) of the new positions"""
        c, (rows, length, _) = self.config, x.shape
        heads = self.qkv(self.attention_norm(x)).view(rows, length, -1, c.head_dim).transpose(1, 2)
        q, k, v = heads.split((c.heads, c.kv_heads, c.kv_heads), dim=1)
        q, k = rotate(q, *rope), rotate(k, *rope)
        new = (k, v)
        if past is not None:
            k, v = torch.cat((past[0].to(k.dtype), k), dim=2), torch.cat((past[1].to(v.dtype), v), dim=2)
        group = c.heads // c.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if bias is None else bias.to(q.dtype), is_causal=bias is None
        )
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, -1))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up), new


class Layers(nn.ModuleList):
    """The layers in their order."""

    def __iter__(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], super().__iter__())


class LanguageModel(nn.Module):
    """Embeddings in, post-norm hidden states and key/values out."""

    embedding: Tensor
    """[vocab_size, H]"""
    head: Tensor | None
    """[vocab_size, H]; None if the embedding is the head."""
    frequencies: Tensor
    """[D / 2]"""
    layers: Layers

    def __init__(self, config: LanguageConfig, frozen_dtype: torch.dtype = torch.float32):
        super().__init__()
        self.config = config
        table = torch.zeros(config.vocab_size, config.hidden, dtype=frozen_dtype)
        self.register_buffer("embedding", table, persistent=False)
        self.register_buffer("head", None if config.tied_head else table.clone(), persistent=False)
        self.new_embedding = nn.Parameter(torch.zeros(config.new_tokens, config.hidden))
        self.new_head = None if config.tied_head else nn.Parameter(torch.zeros(config.new_tokens, config.hidden))
        self.layers = Layers(Layer(config, frozen_dtype) for _ in range(config.layers))
        self.norm = RmsNorm(config.hidden, config.norm_eps)
        self.register_buffer("frequencies", rope_frequencies(config), persistent=False)

    def embed(self, ids: Tensor) -> Tensor:
        """int64[...] -> float32[..., H]; ids from vocab_size on are the new token rows, or the last row if there are none."""
        base = self.embedding[ids.clamp(max=self.config.vocab_size - 1)].float()
        if self.config.new_tokens == 0:
            return base
        extra = (ids - self.config.vocab_size).clamp(min=0)
        return torch.where((ids >= self.config.vocab_size)[..., None], self.new_embedding[extra], base)

    def forward(
        self,
        embeds: Tensor,
        position_ids: Tensor | None = None,
        attn_bias: Tensor | None = None,
        past_kv: KeyValues | None = None,
    ) -> tuple[Tensor, KeyValues]:
        """Run the layers.

        embeds: float[B, S, H]. position_ids: int64[B or 1, S], default: on from the past's length.
        attn_bias: float[B or 1, 1, S, P + S], added to the attention scores; default: causal, the whole past visible.
        Returns the post-norm hidden states float32[B, S, H] (what the head reads) and the new positions' key/values.
        """
        length = embeds.shape[1]
        past = 0 if past_kv is None else past_kv[0][0].shape[2]
        if position_ids is None:
            position_ids = torch.arange(past, past + length, device=embeds.device)[None]
        if attn_bias is None and past > 0:
            attn_bias = causal_bias(length, past, embeds.device)
        angles = position_ids[..., None].float() * self.frequencies  # [B or 1, S, D / 2]
        rope = (angles.cos()[:, None], angles.sin()[:, None])
        x, new_kv = embeds, []
        for index, layer in enumerate(self.layers):
            x, new = layer(x, rope, attn_bias, None if past_kv is None else past_kv[index])
            new_kv.append(new)
        return self.norm(x), new_kv

    def logits(self, hidden: Tensor) -> Tensor:
        """post-norm hidden float[..., H] -> float[..., vocab_size + new_tokens]"""
        head, new = self.embedding, self.new_embedding
        if self.head is not None and self.new_head is not None:
            head, new = self.head, self.new_head
        return torch.cat((frozen_linear(hidden, head), F.linear(hidden, new)), dim=-1)

    @torch.no_grad()
    def start_new_rows(self) -> None:
        """Put the new token rows at the mean of the base rows, so that training starts from a plausible place."""
        self.new_embedding.copy_(self.embedding.float().mean(0).expand_as(self.new_embedding))
        if self.head is not None and self.new_head is not None:
            self.new_head.copy_(self.head.float().mean(0).expand_as(self.new_head))


def rope_frequencies(config: LanguageConfig) -> Tensor:
    """float32[D / 2]: radians by which a position turns each pair of a head's values"""
    return config.rope_base ** (-torch.arange(0, config.head_dim, 2).float() / config.head_dim)


def frozen_linear(x: Tensor, weight: Tensor) -> Tensor:
    """x times a frozen weight that may be stored in a smaller type than x; autocast converts by itself."""
    return F.linear(x, weight if torch.is_autocast_enabled(x.device.type) else weight.to(x.dtype))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of x float[B, heads, S, D], the first half of D paired with the second."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


def causal_bias(length: int, past: int, device: torch.device) -> Tensor:
    """float[1, 1, S, P + S]: 0 where a new position may look, -inf where it may not."""
    hidden = torch.full((length, past + length), -math.inf, device=device).triu(past + 1)
    return hidden[None, None]


def load_gguf(path: Path, frozen_dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Build the model from a `llama` GGUF file (any quantisation that `gguf` can undo)."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    reader = GGUFReader(path)
    field = {name: entry.contents() for name, entry in reader.fields.items() if name.startswith("llama.")}
    tensors = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
    heads, kv_heads = field["llama.attention.head_count"], field["llama.attention.head_count_kv"]
    model = LanguageModel(
        LanguageConfig(
            vocab_size=tensors["token_embd.weight"].shape[0],
            hidden=field["llama.embedding_length"],
            layers=field["llama.block_count"],
            heads=heads,
            kv_heads=kv_heads,
            head_dim=field["llama.embedding_length"] // heads,
            ffn=field["llama.feed_forward_length"],
            rope_base=field["llama.rope.freq_base"],
            norm_eps=round(field["llama.attention.layer_norm_rms_epsilon"], 9),
            tied_head="output.weight" not in tensors,
        ),
        frozen_dtype,
    )
    model.embedding.copy_(tensors["token_embd.weight"])
    if model.head is not None:
        model.head.copy_(tensors["output.weight"])
    model.norm.weight.copy_(tensors["output_norm.weight"])
    for index, layer in enumerate(model.layers):
        part = {name: tensors[f"blk.{index}.{name}.weight"] for name in _LAYER_PARTS}
        layer.attention_norm.weight.copy_(part["attn_norm"])
        layer.ffn_norm.weight.copy_(part["ffn_norm"])
        q, k = half_rotation(part["attn_q"], heads), half_rotation(part["attn_k"], kv_heads)
        layer.qkv.weight.copy_(torch.cat((q, k, part["attn_v"])))
        layer.out.weight.copy_(part["attn_output"])
        layer.gate_up.weight.copy_(torch.cat((part["ffn_gate"], part["ffn_up"])))
        layer.down.weight.copy_(part["ffn_down"])
    model.start_new_rows()
    return model


_LAYER_PARTS = (
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)


def half_rotation(weight: Tensor, heads: int) -> Tensor:
    """Undo the row order of `llama` GGUF files, which pairs neighbouring rows for RoPE, to pair half with half."""
    rows, inputs = weight.shape
    return weight.view(heads, rows // heads // 2, 2, inputs).transpose(1, 2).reshape(rows, inputs)
