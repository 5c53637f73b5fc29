"""What the exporter needs to know about a model: its modules, its tokenizer and the facts of its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from segue_training.model.config import Limits
from segue_training.model.language import LanguageModel
from segue_training.model.tokenization import SegueTokenizer

from .graphs.border import Levels
from .picture import ImageInput


@dataclass(kw_only=True)
class BundleFacts:
    """What a manifest says of a model besides its graphs."""

    name: str
    version: str
    purpose: str
    description: str
    image: ImageInput
    """What `encoder` sees; masks have its geometry."""
    further_images: dict[str, ImageInput] = field(default_factory=dict)
    """What further vision towers see, by the names of their graphs."""
    tokenizer: SegueTokenizer
    mask_only_prefix: str | None
    """What `mask_only` writes before the state it reads; None if the model was not trained for it."""
    first_token_bias: dict[int, float] = field(default_factory=dict)
    """Added to these tokens' logits where an answer begins."""
    limits: Limits = field(default_factory=Limits)
    usual_answers: list[str] = field(default_factory=list)
    """Answers as the model usually writes them, `<SEG>` written out: what a runtime may expect before it is computed."""
    phrase_pattern: str = r"\b(?:the|a|an) [^,.;:<>]*?$"
    max_segments_per_run: int = 8
    score_calibrated: bool = False
    """Whether the decoder's scores may be read as probabilities."""
    origins: list[dict[str, str]] = field(default_factory=list)
    knowledge: dict[str, list[str]] | None = None
    """What people should know before they ask: `kinds` of things, `languages`, `limits` (sentences)."""
    training: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> dict[str, ImageInput]:
        """By graph, in the order in which they run."""
        return {"encoder": self.image, **self.further_images}


@dataclass(kw_only=True)
class BundleParts(BundleFacts):
    """A model, ready for export. All modules compute in float32 and are in evaluation mode.

    encoder: pixels [1, 3, h, w] of the image's type -> dict of the decoder's tensors (batch 1) and `visual_tokens`
    float32[1, visual, hidden], unless one of `further_encoders` gives those. seg_head: float32[n, hidden] ->
    float32[n, prompt]. decoder: (decoder tensors as a dict, seg embeddings float32[n, prompt], resized size int64[2]) ->
    (frame logits float32[n, frame, frame], scores float32[n], 0..1).
    """

    encoder: nn.Module
    further_encoders: dict[str, nn.Module] = field(default_factory=dict)
    levels: dict[str, Levels] = field(default_factory=dict)
    """Of the decoder's tensors that go from graph to graph as uint16."""
    language: LanguageModel
    outliers: dict[str, np.ndarray] | None = None
    """Channels of the language model that stay float32 in INT8 (`find_outliers`); None: the golden questions choose."""
    seg_head: nn.Module
    decoder: nn.Module
