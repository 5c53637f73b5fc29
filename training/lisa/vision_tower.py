"""What the language model sees: CLIP's tower below its last layers, without the class token, through LISA's projector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from segue_training.bundle.picture import ImageInput

from .checkpoint import Checkpoint
from .keys import CLIP_TABLE, PROJECTOR, check_complete, sort_keys


class VisionTower(nn.Module):
    """pixels float32[1, 3, side, side] -> visual_tokens float32[1, (side / patch)^2, hidden]

    The tower is built with as many layers as are read, so that its last state is the wanted one; CLIP's final
    normalisation is not part of it.
    """

    def __init__(self, config: CLIPVisionConfig, projector: nn.Module):
        super().__init__()
        self.tower = CLIPVisionModel(config)
        self.projector = projector

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        states = self.tower(pixels).last_hidden_state
        return {"visual_tokens": self.projector(states[:, 1:])}


def load_vision_tower(checkpoint: Checkpoint, clip: Checkpoint, keys: dict[str, str]) -> VisionTower:
    """clip: CLIP's own checkpoint. keys: the projector's, from `sort_keys`. Raises ValueError for what does not fit."""
    config = tower_config(clip, checkpoint.config.get("mm_vision_select_layer", -2))
    selected = checkpoint.config.get("mm_vision_select_feature", "patch")
    if selected != "patch":
        raise ValueError(f"mm_vision_select_feature is {selected!r}; only 'patch', without the class token, is LISA's")
    projector = _projector(checkpoint, keys)
    check_complete(PROJECTOR, projector.state_dict(), keys)
    vision = VisionTower(config, projector).eval().requires_grad_(False)
    checkpoint.fill(projector, keys)
    tower = sort_keys(clip.names, CLIP_TABLE)["tower"]
    above = tuple(f"encoder.layers.{index}." for index in range(config.num_hidden_layers, _vision(clip)["num_hidden_layers"]))
    tower = {target: name for target, name in tower.items() if not target.startswith(above)}
    wanted = [name for name in vision.tower.state_dict() if not name.startswith("post_layernorm.")]
    check_complete("CLIP's vision tower", wanted, tower)
    clip.fill(vision.tower, tower)
    return vision


def tower_config(clip: Checkpoint, select_layer: int) -> CLIPVisionConfig:
    """The tower down to the selected hidden state: -1 is the last layer's output, -2 the one before."""
    values = _vision(clip)
    layers = values["num_hidden_layers"] + 1 + select_layer
    if not 0 < layers <= values["num_hidden_layers"]:
        raise ValueError(f"mm_vision_select_layer is {select_layer}, but the tower has {values['num_hidden_layers']} layers")
    return CLIPVisionConfig(**{**values, "num_hidden_layers": layers})


def clip_image(folder: Path) -> ImageInput:
    """Preprocessing by CLIP's own `preprocessor_config.json`: shortest side, middle cut out, bicubic.

    Raises ValueError when that file says something else.
    """
    values = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    size, crop = values["size"], values["crop_size"]
    side = size if isinstance(size, int) else size.get("shortest_edge")
    crop = (crop, crop) if isinstance(crop, int) else (crop["height"], crop["width"])
    steps = [values.get(step, True) for step in ("do_resize", "do_center_crop", "do_normalize")]
    if crop != (side, side) or not all(steps) or values.get("resample", 3) != 3:
        raise ValueError(f"{folder}/preprocessor_config.json asks for other steps than CLIP's centre crop of {side} pixels")
    return ImageInput(
        frame=side,
        filter="bicubic",
        rescale=values.get("rescale_factor", 1 / 255),
        mean=tuple(values["image_mean"]),
        std=tuple(values["image_std"]),
        crop=True,
        rounding="down",
    )


def _projector(checkpoint: Checkpoint, keys: dict[str, str]) -> nn.Sequential:
    """One layer in the checkpoints on LLaVA 1, two with GELU in those on LLaVA 1.5; the keys tell which."""

    def linear(name: str) -> nn.Linear:
        outputs, inputs = checkpoint.shape(keys[f"{name}.weight"])
        return nn.Linear(inputs, outputs)

    if "0.weight" not in keys:
        raise ValueError("The checkpoint lacks tensors of projector: model.mm_projector")
    return nn.Sequential(linear("0"), nn.GELU(), linear("2")) if "2.weight" in keys else nn.Sequential(linear("0"))


def _vision(clip: Checkpoint) -> dict[str, Any]:
    """The vision part of CLIP's configuration, whose file may describe the text tower as well."""
    config = clip.config.get("vision_config", clip.config)
    defaults = CLIPVisionConfig().to_dict()
    return {name: config[name] for name in defaults if name in config and name not in ("transformers_version", "dtype")} | {
        "num_hidden_layers": config.get("num_hidden_layers", defaults["num_hidden_layers"])
    }
