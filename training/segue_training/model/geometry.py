"""Frame geometry: boxes, crops ("views") around boxes, and pasting crops back.

The frame is the 512 x 512 letterboxed picture. Boxes are float32[..., 4] (x1, y1, x2, y2) in frame
pixels, where pixel i covers [i, i+1). Feature cell j of stride s lies at pixel s*(j + 0.5), so every
map of the frame is sampled with the same normalised coordinates. All functions are exportable to ONNX.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FRAME = 512
VIEW_SCALE = 1.5
_MIN_VIEW = 12.0


def cell_centres(size: int, device: torch.device | None = None) -> Tensor:
    """Pixel positions of the cell centres of a map with `size` cells a side: float32[size]."""
    return (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (FRAME / size)


def view_of(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes [..., 4] -> (origin [..., 2], extent [..., 2]) of the views around them, in pixels."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    extent = ((boxes[..., 2:] - boxes[..., :2]) * VIEW_SCALE).clamp(min=_MIN_VIEW)
    return centre - extent / 2, extent


def view_grid(boxes: Tensor, size: int) -> Tensor:
    """Sampling positions [..., size, size, 2] (x, y in frame pixels) of the views around boxes [..., 4]."""
    origin, extent = view_of(boxes)
    steps = (torch.arange(size, device=boxes.device, dtype=torch.float32) + 0.5) / size
    x = origin[..., None, 0:1] + steps * extent[..., None, 0:1]  # [..., 1, size]
    y = origin[..., None, 1:2] + steps * extent[..., None, 1:2]
    shape = boxes.shape[:-1] + (size, size)
    return torch.stack([x.expand(shape), y.transpose(-1, -2).expand(shape)], -1)


def sample(maps: Tensor, grid: Tensor) -> Tensor:
    """Bilinear values of maps [n, c, h, w] at pixel positions grid [n, m, s, s, 2] -> [n, m, c, s, s]."""
    n, m, s = grid.shape[0], grid.shape[1], grid.shape[2]
    flat = (grid * (2.0 / FRAME) - 1.0).reshape(n, m * s, s, 2)
    values = F.grid_sample(maps, flat, mode="bilinear", padding_mode="zeros", align_corners=False)
    return values.reshape(n, maps.shape[1], m, s, s).transpose(1, 2)


def cell_boxes(ltrb: Tensor) -> Tensor:
    """Detector distances [n, 4, h, w] -> boxes [n, 4, h, w], clamped to the frame.

    The detector measures from the cell's corner (4x, 4y), not from its centre.
    """
    step = FRAME / ltrb.shape[-1]
    x = torch.arange(ltrb.shape[-1], device=ltrb.device, dtype=torch.float32) * step
    y = torch.arange(ltrb.shape[-2], device=ltrb.device, dtype=torch.float32)[:, None] * step
    left, top, right, bottom = ltrb.unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], 1).clamp(0.0, float(FRAME))


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes broadcast against each other, coordinates in the last dimension."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return inter / (area_a + area_b - inter).clamp(min=1e-6)


def _hat(origin: Tensor, extent: Tensor, cells: int, size: int) -> Tensor:
    """Bilinear weights [m, size, cells] of `size` frame pixels over the cells of views (origin, extent [m])."""
    pixels = cell_centres(size, origin.device)
    position = (pixels - origin[:, None]) / extent[:, None] * cells - 0.5  # [m, size] in cells
    return (1.0 - (position[..., None] - torch.arange(cells, device=origin.device)).abs()).clamp(min=0.0)


def paste(logits: Tensor, boxes: Tensor, size: int = FRAME, outside: float = -12.0) -> Tensor:
    """View logits [m, s, s] -> frame logits [m, size, size]; `outside` where the view does not reach."""
    origin, extent = view_of(boxes)
    cells = logits.shape[-1]
    columns, rows = (_hat(origin[:, axis], extent[:, axis], cells, size) for axis in (0, 1))
    return rows @ (logits - outside) @ columns.transpose(1, 2) + outside


def resize_bilinear(maps: Tensor, height: int, width: int, source: Tensor) -> Tensor:
    """Top-left `source` (int64[2]: h, w) part of maps [n, h0, w0] -> [n, height, width], half-pixel bilinear.

    Written with gathers, because `source` is a tensor.
    """
    for axis, size in ((1, height), (2, width)):
        valid = source[axis - 1]
        position = (torch.arange(size, device=maps.device) + 0.5) * (valid / size) - 0.5
        position = torch.minimum(position.clamp(min=0.0), valid - 1.0)
        low = position.floor()
        weight = (position - low).to(maps.dtype)
        high = torch.minimum(low + 1, valid - 1.0)
        shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
        weight = weight.reshape(shape)
        maps = maps.index_select(axis, low.long()) * (1 - weight) + maps.index_select(axis, high.long()) * weight
    return maps
