"""Giving a trained model further names; everything it knew stays as it was, bit for bit.

A new name starts silent: the detector sees it nowhere and no prompt asks for it, until training fills its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from segue_training.model.config import DecoderConfig
from segue_training.model.segue_model import SegueModel

_UNSEEN, _UNASKED = -4.6, -30.0
"""Logits of new rows: a probability of 0.01 at every place (CenterNet's start), and as good as none among the names."""


@torch.no_grad()
def add_names(model: SegueModel, names: Sequence[str]) -> None:
    """Appends `names` to the model's in place: detector channels, decoder queries, name embeddings.

    Raises ValueError for a name that the model has already.
    """
    known = [name for name in names if name in model.names]
    if known or len(set(names)) < len(names):
        raise ValueError(f"names must be new and different from each other: {', '.join(known or names)}")
    count = len(names)
    model.names = (*model.names, *names)
    model.decoder_config = model.decoder.config = DecoderConfig(
        classes=len(model.names), relations=model.decoder_config.relations
    )
    _extend(model.vision.class_head.pointwise, count, _UNSEEN)
    _extend(last_layer(model.decoder.query), count, _UNASKED)
    if "near" in model.decoder_config.relations:
        _extend(last_layer(model.decoder.landmark), count, _UNASKED)
    model.projector.names = torch.cat([model.projector.names, model.name_embeddings(list(names))])


def last_layer(head: nn.Sequential) -> nn.Linear:
    """What gives a head's outputs."""
    layer = head[-1]
    assert isinstance(layer, nn.Linear)
    return layer


def _extend(layer: nn.Conv2d | nn.Linear, count: int, bias: float) -> None:
    """Appends output rows of zeros with a bias."""
    weight, offset = layer.weight, layer.bias
    assert offset is not None
    trained = weight.requires_grad
    layer.weight = nn.Parameter(torch.cat([weight, weight.new_zeros(count, *weight.shape[1:])]), trained)
    layer.bias = nn.Parameter(torch.cat([offset, offset.new_full((count,), bias)]), trained)
    for side in ("out_channels", "out_features"):
        if hasattr(layer, side):
            setattr(layer, side, len(layer.bias))
