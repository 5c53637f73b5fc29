"""A checkpoint's modules, each loaded when it is asked for and alone in memory then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from segue_training.model.language import LanguageConfig, LanguageModel, Layer

from .checkpoint import Checkpoint
from .keys import DECODER, ENCODER, LANGUAGE, PROJECTOR, PROMPT, SEG_HEAD, check_complete, sort_keys
from .mask_stage import ImageStage, MaskStage
from .sam_decoder import SamDecoderConfig
from .sam_encoder import SamEncoderConfig, SamImageEncoder
from .vision_tower import VisionTower, load_vision_tower

M = TypeVar("M", bound=nn.Module)
_LAYER = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
    "attention_norm": ("input_layernorm",),
    "ffn_norm": ("post_attention_layernorm",),
}
"""Parts of a layer and what they are called in a checkpoint; several are joined, one below the other."""


@dataclass
class LisaCheckpoint:
    """LISA's folder and that of the CLIP tower it was trained with."""

    folder: Path
    clip_folder: Path

    def __post_init__(self) -> None:
        """Raises ValueError for tensors that are not LISA's, or settings that this code does not follow."""
        self.weights, self.clip = Checkpoint(self.folder), Checkpoint(self.clip_folder)
        self.keys = sort_keys(self.weights.names)
        self.language_config = language_config(self.weights.config)
        check_complete(LANGUAGE, _language_names(self.language_config), self.keys[LANGUAGE])

    @cached_property
    def encoder_config(self) -> SamEncoderConfig:
        keys = self.keys[ENCODER]
        if not {"patch_embed.proj.weight", "pos_embed", "neck.0.weight"} <= keys.keys():
            raise ValueError(f"The checkpoint lacks tensors of {ENCODER}: it is not a checkpoint of LISA")
        return SamEncoderConfig.from_shapes({target: self.weights.shape(name) for target, name in keys.items()})

    def sam_encoder(self) -> ImageStage:
        encoder = SamImageEncoder(self.encoder_config)
        self._fill(ENCODER, encoder)
        return ImageStage(_ready(encoder))

    def vision_tower(self) -> VisionTower:
        return load_vision_tower(self.weights, self.clip, self.keys[PROJECTOR])

    def seg_head(self) -> nn.Sequential:
        """`text_hidden_fcs`: float32[n, hidden] -> float32[n, prompt]"""
        keys = self.keys[SEG_HEAD]
        sizes = [self.weights.shape(keys[name]) for name in ("0.weight", "2.weight") if name in keys]
        if len(sizes) != 2:
            raise ValueError(f"The checkpoint lacks tensors of {SEG_HEAD}: model.text_hidden_fcs.0")
        (inner, hidden), (prompt, _) = sizes
        head = nn.Sequential(nn.Linear(hidden, inner), nn.ReLU(), nn.Linear(inner, prompt))
        self._fill(SEG_HEAD, head)
        return _ready(head)

    def mask_stage(self) -> MaskStage:
        shapes = {target: self.weights.shape(name) for target, name in self.keys[DECODER].items()}
        encoder = self.encoder_config
        stage = MaskStage(SamDecoderConfig.from_shapes(shapes, encoder.grid), encoder.frame)
        self._fill(DECODER, stage.mask_decoder)
        self._fill(PROMPT, stage.prompt_encoder)
        stage.fix_positions()
        return _ready(stage)

    def table(self, name: str) -> torch.Tensor:
        """`embedding` or `head` as stored, [vocab, hidden]"""
        return self.weights.tensor(self.keys[LANGUAGE][_TABLES[name]])

    def layer(self, index: int) -> Layer:
        """One layer of the language model, float32"""
        layer = Layer(self.language_config, torch.float32)
        for part, names in _LAYER.items():
            stored = [self.weights.tensor(self.keys[LANGUAGE][f"layers.{index}.{name}.weight"]) for name in names]
            getattr(layer, part).weight.copy_(torch.cat(stored))
        return layer

    def final_norm(self) -> torch.Tensor:
        return self.weights.tensor(self.keys[LANGUAGE]["norm.weight"])

    def language(self) -> LanguageModel:
        """The whole language model in float32: 27 GB for 7 billion parameters. An export does without it."""
        model = LanguageModel(self.language_config)
        model.embedding.copy_(self.table("embedding"))
        assert model.head is not None  # not tied
        model.head.copy_(self.table("head"))
        model.norm.weight.copy_(self.final_norm())
        for index in range(self.language_config.layers):
            model.layers[index] = self.layer(index)
        return _ready(model)

    def _fill(self, part: str, module: nn.Module) -> None:
        check_complete(part, module.state_dict(), self.keys[part])
        self.weights.fill(module, self.keys[part])


_TABLES = {"embedding": "embed_tokens.weight", "head": "lm_head.weight"}


def language_config(config: dict[str, Any]) -> LanguageConfig:
    """`config.json` -> the Llama's shape. Raises ValueError for settings that the language graphs do not follow."""
    scaling = config.get("rope_scaling") or (config.get("rope_parameters") or {})
    if scaling.get("rope_type", scaling.get("type", "default")) != "default":
        raise ValueError(f"Scaled rotary positions are not supported: {scaling}")
    if config.get("tie_word_embeddings") or config.get("hidden_act", "silu") != "silu" or config.get("attention_bias"):
        raise ValueError("Only Llamas with a head of their own, SiLU and no attention biases are supported")
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    return LanguageConfig(
        vocab_size=config["vocab_size"],
        new_tokens=0,
        hidden=hidden,
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        ffn=config["intermediate_size"],
        rope_base=config.get("rope_theta") or scaling.get("rope_theta", 10_000.0),
        norm_eps=config["rms_norm_eps"],
        tied_head=False,
        lora_rank=0,
    )


def _language_names(config: LanguageConfig) -> list[str]:
    parts = [name for names in _LAYER.values() for name in names]
    layers = [f"layers.{index}.{part}.weight" for index in range(config.layers) for part in parts]
    return [*_TABLES.values(), "norm.weight", *layers]


def _ready(module: M) -> M:
    return module.eval().requires_grad_(False)
