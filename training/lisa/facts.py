"""What a bundle's manifest says of a LISA checkpoint, read off its configuration and its files."""

from __future__ import annotations

import re
from typing import Any

from segue_training.bundle.parts import BundleFacts, BundleParts
from segue_training.bundle.picture import ImageInput
from segue_training.model.config import Limits

from .model import LisaCheckpoint
from .tokenizer import PHRASE_PATTERN, is_legacy, load_tokenizer
from .vision_tower import clip_image

CLIP = "clip"
"""The graph of the second vision tower, and its image input."""
_SAM_MEAN, _SAM_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_LICENCE = "see the checkpoint's page; LLaMA, LLaVA, Segment Anything and CLIP have licences of their own"


USUAL_ANSWERS = [
    "It is <SEG>.",
    "Sure, <SEG>.",
    "Sure, it is <SEG>.",
    "Sure, the segmentation result is <SEG>.",
    "<SEG>.",
]
"""What LISA was trained to say (its `ANSWER_LIST`)."""


def lisa_facts(source: LisaCheckpoint, name: str, version: str, purpose: str = "serving") -> BundleFacts:
    """Raises ValueError when tokenizer and embedding differ in size."""
    tokenizer = load_tokenizer(source.folder)
    rows = source.language_config.vocab_size
    if tokenizer.image != rows:
        raise ValueError(f"The tokenizer has {tokenizer.image} tokens, but the embedding has {rows} rows")
    context = source.weights.config.get("max_position_embeddings", 2048)
    return BundleFacts(
        name=name,
        version=version,
        purpose=purpose,
        description="LISA: reasoning segmentation by a LLaVA and Segment Anything, from its published checkpoint.",
        image=ImageInput(source.encoder_config.frame, fill=None, mean=_SAM_MEAN, std=_SAM_STD),
        further_images={CLIP: clip_image(source.clip_folder)},
        tokenizer=tokenizer,
        # The state that reads "ASSISTANT:" is the one that `<SEG>` follows, so the fast mode needs no further text.
        mask_only_prefix="",
        limits=Limits(
            context_tokens=context,
            max_question_tokens=min(512, context // 4),
            max_new_tokens=min(512, context // 4),
            max_batch=4,
        ),
        usual_answers=USUAL_ANSWERS,
        phrase_pattern=PHRASE_PATTERN,
        max_segments_per_run=4,
        origins=[
            {"part": "LISA", "source": source.folder.name, "version": _revision(source.weights.config), "license": _LICENCE},
            {
                "part": "CLIP's vision tower",
                "source": source.clip_folder.name,
                "version": _revision(source.clip.config),
                "license": _LICENCE,
            },
        ],
        training={
            "tokenizer": {
                "family": "Llama, as transformers 4.31 read it",
                "legacy": is_legacy(source.folder),
                "difference": "none"
                if is_legacy(source.folder)
                else "a first word that upstream loses to <unk> is kept in pieces",
            },
            "score": "mean of 2p - 1 over the mask's pixels; how decided the decoder is, not how right",
        },
    )


def lisa_parts(source: LisaCheckpoint, facts: BundleFacts) -> BundleParts:
    """The whole model in memory, float32: the reference that graphs are held against."""
    return BundleParts(
        **vars(facts),
        encoder=source.sam_encoder(),
        further_encoders={CLIP: source.vision_tower()},
        language=source.language(),
        seg_head=source.seg_head(),
        decoder=source.mask_stage(),
    )


def bundle_name(folder: str) -> str:
    """`LISA-7B-v1` -> `lisa-7b-v1`"""
    return re.sub(r"[^a-z0-9._-]+", "-", folder.lower()).strip("-._") or "lisa"


def _revision(config: dict[str, Any]) -> str:
    return str(
        config.get("_commit_hash")
        or (config.get("transformers_version") and f"transformers {config['transformers_version']}")
        or "unknown"
    )
