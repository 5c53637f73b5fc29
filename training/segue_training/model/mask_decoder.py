"""Mask decoder: a 256-d prompt and the encoder's tensors in, masks out.

The prompt says *what* (a soft choice among the detector's classes) and *which* (one of `RELATIONS`).
What: evidence E = sum of class probabilities weighted by the prompt's class query. Its strongest
peaks give boxes; in a view around each box a two-way transformer (as in Segment Anything) draws a
mask and predicts its IoU. Which: the relation read from the prompt picks one peak, or unites all.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import COLOURS, DecoderConfig
from .geometry import FRAME, box_iou, cell_boxes, paste, sample, view_grid
from .layers import LongLayerNorm, ResidualBlock, largest_channel
from .refiner import Refiner
from .selection import NEVER, apart, colour_shares, distinct, from_side

warnings.filterwarnings("ignore", message=r"index_reduce\(\) is in beta")

Features = dict[str, Tensor]
"""Encoder tensors of one picture: b2, b5, c4, b14, heatmap, ltrb (see vision.CenterNet) and rgb, the frame uint8[1,3,512,512]."""


_RGB_MEAN, _RGB_STD = 118.0, 60.0
_DRAWN = 0.2
"""Share of the strongest peak's evidence from which a peak is drawn."""
_SAME_BOX = 0.7
"""IoU with the box of a stronger drawn peak from which a peak is not drawn: it is the same thing."""


class Peaks(NamedTuple):
    """Candidates of n prompts, k each."""

    evidence: Tensor  # [n, k] evidence at the peak, 0..1
    boxes: Tensor  # [n, k, 4] frame pixels


class Candidates(NamedTuple):
    """Decoded candidates of n prompts, k each."""

    peaks: Peaks
    logits: Tensor  # [n, k, 48, 48] mask logits in the view around the box
    iou: Tensor  # [n, k] predicted IoU, 0..1
    colours: Tensor  # [n, k, colours] share of the mask that has each colour; none for a model without colours
    away: Tensor  # [n, k] distance to the prompt's landmark, in frames; 0 for a model without landmarks


class TwoWayBlock(nn.Module):
    """Token self-attention, tokens -> image, MLP, image -> tokens (Segment Anything, section A)."""

    def __init__(self, dim: int, heads: int, mlp: int):
        super().__init__()
        self.self_attention, self.to_image, self.to_tokens = (Attention(dim, heads) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(dim, mlp), nn.GELU(), nn.Linear(mlp, dim))
        self.norms = nn.ModuleList([*(nn.LayerNorm(dim) for _ in range(3)), LongLayerNorm(dim)])

    def forward(self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        q = tokens + token_position
        tokens = self.norms[0](tokens + self.self_attention(q, q, tokens))
        tokens = self.norms[1](tokens + self.to_image(tokens + token_position, image + image_position, image))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        image = self.norms[3](image + self.to_tokens(image + image_position, tokens + token_position, tokens))
        return tokens, image


class Attention(nn.Module):
    """Multi-head attention with separate query, key and value inputs [m, length, dim]."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, x in ((self.q, q), (self.k, k), (self.v, v))
        )
        # Written out: with a handful of tokens on one side the fused kernels are slower, backwards above all.
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class ViewNetwork(nn.Module):
    """Draws the mask of the prompted thing inside one view."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        mid, dim, skip = 96, config.dim, 32
        self.fine = nn.Sequential(nn.Conv2d(24 + 3, 48, 3, padding=1), nn.GELU())
        self.fine_down = nn.Conv2d(48, mid, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(32 + 88 + 120 + 5, mid, 1)
        self.position = nn.Parameter(torch.randn(1, mid, config.coarse, config.coarse) * 0.02)
        self.box = nn.Sequential(nn.Linear(8, dim), nn.GELU(), nn.Linear(dim, dim))
        self.prompt = nn.Linear(config.prompt_size, dim)
        self.film = nn.Linear(2 * dim, 2 * mid)
        self.blocks = nn.Sequential(ResidualBlock(mid), ResidualBlock(mid))
        self.to_tokens = nn.Conv2d(mid, dim, 1)
        self.token_position = nn.Parameter(torch.randn(1, config.coarse**2, dim) * 0.02)
        self.output_tokens = nn.Parameter(torch.randn(1, 2, dim) * 0.5)  # IoU, mask
        self.two_way = nn.ModuleList(TwoWayBlock(dim, 4, 512) for _ in range(2))
        self.up = nn.Conv2d(dim, 4 * skip, 1)
        self.skip = nn.Conv2d(48, skip, 1)
        self.smooth = nn.Sequential(nn.GELU(), nn.Conv2d(skip, skip, 3, padding=1), nn.GELU())
        self.hyper = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, skip))
        self.iou = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, coarse: Tensor, fine: Tensor, prompt: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
        """coarse [m,245,24,24], fine [m,27,48,48], prompt [m,256], box [m,8] -> logits [m,48,48], IoU logit [m]."""
        fine = self.fine(fine)
        prompt, box = self.prompt(prompt), self.box(box)
        scale, shift = self.film(torch.cat([prompt, box], 1))[:, :, None, None].chunk(2, 1)
        x = self.coarse(coarse) + self.fine_down(fine) + self.position
        x = self.to_tokens(self.blocks(x * (1 + scale) + shift))
        side = x.shape[-1]
        image = x.flatten(2).transpose(1, 2)  # [m, 576, dim]
        start = torch.cat([self.output_tokens.expand(x.shape[0], -1, -1), prompt[:, None], box[:, None]], 1)
        tokens = start
        for block in self.two_way:
            tokens, image = block(tokens, image, start, self.token_position)
        x = image.transpose(1, 2).unflatten(2, (side, side))
        x = self.smooth(F.pixel_shuffle(self.up(x), 2) + self.skip(fine))
        logits = torch.einsum("mc,mchw->mhw", self.hyper(tokens[:, 1]), x)
        return logits, self.iou(tokens[:, 0])[:, 0]


class MaskDecoder(nn.Module):
    """Everything between the `<SEG>` prompt and frame logits."""

    score_weights: Tensor
    """float32[3], what `signals` weigh in the logit of a score; set by calibration (calibrate_scores)"""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.normalise = nn.LayerNorm(config.prompt_size, elementwise_affine=False)
        self.query = nn.Sequential(nn.Linear(config.prompt_size, 256), nn.GELU(), nn.Linear(256, config.classes))
        self.relation = nn.Sequential(nn.Linear(config.prompt_size, 64), nn.GELU(), nn.Linear(64, len(config.relations)))
        if "near" in config.relations:
            self.landmark = nn.Sequential(nn.Linear(config.prompt_size, 256), nn.GELU(), nn.Linear(256, 1 + config.classes))
            """Which class is the landmark; the first output: none."""
        self.view = ViewNetwork(config)
        self.refiner = Refiner(config.prompt_size)
        self.register_buffer("score_weights", torch.tensor([0.0, 1.0, 0.0]))
        for name, channels in (("b2", 24), ("b5", 32), ("c4", 88), ("b14", 120)):
            self.register_buffer(f"{name}_mean", torch.zeros(1, channels, 1, 1))
            self.register_buffer(f"{name}_std", torch.ones(1, channels, 1, 1))

    @property
    def output_device(self) -> torch.device:
        """Where the decoder computes."""
        return self.score_weights.device

    def standardise(self, features: Features, name: str) -> Tensor:
        """One backbone tap, standardised per channel."""
        return (features[name] - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_std")

    def evidence(self, features: Features, prompts: Tensor) -> Tensor:
        """Probability [n, 128, 128] that a thing meant by each prompt [n, 256] is centred in a cell."""
        query = self.query(self.normalise(prompts)).softmax(-1)
        return _expected(features["heatmap"], query)

    def peaks(self, features: Features, evidence: Tensor) -> Peaks:
        """The `config.peaks` strongest local maxima of evidence [n, 128, 128]."""
        best = F.max_pool2d(evidence[:, None], 3, 1, 1)[:, 0]
        kept = (evidence * (evidence >= best)).flatten(1)
        values, cells = kept.topk(self.config.peaks, dim=1)
        boxes = cell_boxes(features["ltrb"])[0].flatten(1).transpose(0, 1)  # [cells, 4]
        return Peaks(values, boxes[cells])

    def decode(self, features: Features, prompts: Tensor, evidence: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Masks around given boxes [n, k, 4].

        Returns logits [n, k, 48, 48], IoU logits [n, k], RGB of the views [n, k, 3, 48, 48], 0..255.
        """
        n, k = boxes.shape[:2]
        coarse, fine, box = self.views(features, evidence, boxes)
        prompt = self.normalise(prompts)[:, None].expand(-1, k, -1).flatten(0, 1)
        logits, iou = self.view(coarse, fine, prompt, box)
        rgb = fine[:, -3:] * _RGB_STD + _RGB_MEAN
        return logits.unflatten(0, (n, k)), iou.unflatten(0, (n, k)), rgb.unflatten(0, (n, k))

    def views(self, features: Features, evidence: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs of the view network for boxes [n, k, 4]: coarse, fine and box features, batch n*k."""
        n, k = boxes.shape[:2]
        grid = view_grid(boxes, self.config.coarse)  # [n, k, 24, 24, 2]
        shared = grid.flatten(0, 1)[None]
        taps = [sample(self.standardise(features, name), shared)[0] for name in ("b5", "c4", "b14")]
        strongest = largest_channel(features["heatmap"]) / 4
        distances = sample(features["ltrb"], shared)[0].unflatten(0, (n, k))  # [n, k, 4, 24, 24]
        own = sample(torch.logit(evidence[:, None], eps=1e-4) / 4, grid)  # [n, k, 1, 24, 24]
        relative = sample(evidence[:, None] / evidence.amax((1, 2)).clamp(min=1e-4)[:, None, None, None], grid)
        x, y = grid.unbind(-1)
        left, top, right, bottom = distances.unbind(2)
        cell_box = torch.stack([x - left, y - top, x + right, y + bottom], -1)
        agreement = box_iou(cell_box, boxes[:, :, None, None]) * 2 - 1
        inside = torch.minimum(
            torch.minimum(x - boxes[..., 0:1, None], boxes[..., 2:3, None] - x),
            torch.minimum(y - boxes[..., 1:2, None], boxes[..., 3:4, None] - y),
        )
        size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=4.0)
        inside = torch.tanh(inside / size.amin(-1)[..., None, None] * 4)
        dense = torch.stack([own[:, :, 0], relative[:, :, 0], agreement, inside], 2).flatten(0, 1)
        coarse = torch.cat([*taps, sample(strongest, shared)[0], dense], 1)
        fine_grid = view_grid(boxes, self.config.fine).flatten(0, 1)[None]
        rgb = (F.avg_pool2d(features["rgb"].float(), 2) - _RGB_MEAN) / _RGB_STD
        fine = torch.cat([sample(self.standardise(features, "b2"), fine_grid)[0], sample(rgb, fine_grid)[0]], 1)
        edges = torch.cat([boxes / FRAME * 2 - 1, torch.log(size / 64)], -1)
        strength = torch.stack([own[:, :, 0].amax((2, 3)), relative[:, :, 0].amax((2, 3))], -1)
        return coarse, fine, torch.cat([edges, strength], -1).flatten(0, 1)

    def candidates(self, features: Features, prompts: Tensor) -> Candidates:
        """Draws the strongest peaks of prompts [n, 256]; a peak that is not drawn has a predicted IoU of 0."""
        evidence = self.evidence(features, prompts)
        peaks = self.peaks(features, evidence)
        n, k = peaks.evidence.shape
        index = self.worth_drawing(peaks).flatten().nonzero()[:, 0]
        owner = torch.div(index, k, rounding_mode="floor")
        boxes = peaks.boxes.flatten(0, 1)[index]
        logits, iou, rgb = (drawn[:, 0] for drawn in self.decode(features, prompts[owner], evidence[owner], boxes[:, None]))
        colours = logits.new_zeros(logits.shape[0], 0)
        if COLOURS[0] in self.config.relations:
            colours = colour_shares(rgb, logits)

        def placed(drawn: Tensor) -> Tensor:
            return drawn.new_zeros(n * k, *drawn.shape[1:]).index_put((index,), drawn).unflatten(0, (n, k))

        away = self.away(features, prompts, peaks.boxes)
        return Candidates(peaks, placed(logits), placed(iou.sigmoid()), placed(colours), away)

    def worth_drawing(self, peaks: Peaks) -> Tensor:
        """Which peaks are drawn, bool[n, k]; the strongest of each prompt always is.

        Most of the work is drawing. What is far weaker than the strongest is not chosen, whatever is drawn there, and a large
        thing has several peaks with nearly the same box.
        """
        drawn = peaks.evidence >= _DRAWN * peaks.evidence[:, :1]
        same = box_iou(peaks.boxes[:, :, None], peaks.boxes[:, None]) > _SAME_BOX  # [n, k, k]
        columns = [drawn[:, 0]]
        for place in range(1, drawn.shape[1]):
            before = torch.stack(columns, 1)
            columns.append(drawn[:, place] & ~(same[:, place, :place] & before).any(1))
        return torch.stack(columns, 1)

    def away(self, features: Features, prompts: Tensor, boxes: Tensor) -> Tensor:
        """Distance [n, k] of boxes [n, k, 4] to each prompt's landmark, in frames; 0 for a model without landmarks."""
        if "near" not in self.config.relations:
            return torch.zeros_like(boxes[..., 0])
        query = self.landmark(self.normalise(prompts)).softmax(-1)[:, 1:]
        found = self.peaks(features, _expected(features["heatmap"], query))
        sure = found.evidence >= 0.5 * found.evidence[:, :1]
        return apart(boxes, torch.where(sure[..., None], found.boxes, found.boxes[:, :1]))

    def choose(self, prompts: Tensor, found: Candidates, resized_size: Tensor) -> Tensor:
        """Which candidates belong to the answer: bool[n, k]; at least one a prompt."""
        evidence, boxes = found.peaks
        relation = F.one_hot(self.relation(self.normalise(prompts)).argmax(-1), len(self.config.relations))
        plausible = (evidence > torch.clamp(0.3 * evidence[:, :1], min=0.12)) & (found.iou > 0.4)
        # The strongest candidate is always allowed, so that a relation never leaves nothing to choose from.
        best = evidence**0.25 * found.iou
        plausible = plausible | (best >= best.amax(1, keepdim=True))
        centre = (boxes[..., :2] + boxes[..., 2:]) / (2 * FRAME)
        middle = resized_size.flip(0).to(boxes.dtype) / (2 * FRAME)
        size = (boxes[..., 2:] - boxes[..., :2]).prod(-1).sqrt() / FRAME
        x, y, far = centre[..., 0], centre[..., 1], (centre - middle).square().sum(-1)
        # In the order of config.RELATIONS; "all" ranks like "one" and is widened below.
        order = [best, best, -x, x, -y, y, size, -size, -far]
        if "near" in self.config.relations:
            counted = distinct(boxes, best, plausible)
            order += [from_side(x, counted, nth) for nth in (1, 2, 3)] + [from_side(-x, counted, 1), -found.away]
        ranks = torch.cat([torch.stack(order, -1), found.colours], -1)
        rank = (ranks * relation[:, None].to(ranks.dtype)).sum(-1)
        whole_field = relation[:, :1].bool() | relation[:, 1:2].bool()
        rank = torch.where(plausible | whole_field, rank, torch.full_like(rank, NEVER))
        chosen = rank >= rank.amax(1, keepdim=True)
        several = relation[:, 1:2].bool()
        return (several & plausible) | (~several & chosen)

    def forward(self, features: Features, prompts: Tensor, resized_size: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder tensors and prompts [n, 256] -> frame logits [n, 512, 512], scores [n].

        A score is the probability that the mask is right (IoU with the thing meant at least 0.5), see calibrate_scores.
        """
        frames, signals = self.answer(features, prompts, resized_size)
        return frames, (signals @ self.score_weights).sigmoid()

    def answer(self, features: Features, prompts: Tensor, resized_size: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, but with the signals [n, 3] that a score is made of.

        They are 1, the predicted IoU (logit) and the evidence (log): means over the candidates that an answer unites.
        """
        found = self.candidates(features, prompts)
        chosen = self.choose(prompts, found, resized_size)
        n, k = chosen.shape
        # Only chosen candidates are redrawn; how many there are is known at run time only.
        index = chosen.flatten().nonzero()[:, 0]
        owner = torch.div(index, k, rounding_mode="floor")
        boxes = found.peaks.boxes.flatten(0, 1)[index]
        first = found.logits.flatten(0, 1)[index]
        logits = self.refiner(features["rgb"].float(), boxes, first, self.normalise(prompts)[owner])
        pasted = paste(logits, boxes)
        frames = torch.full((n, FRAME, FRAME), -1e4, device=pasted.device)
        frames = frames.index_reduce(0, owner, pasted, "amax")
        judged = torch.logit(found.iou.flatten()[index], eps=1e-4)
        signals = torch.stack(
            [torch.ones_like(judged), judged, torch.log(found.peaks.evidence.flatten()[index].clamp(min=1e-4))], 1
        )
        summed = torch.zeros(n, signals.shape[1], device=signals.device).scatter_add(
            0, owner[:, None].expand(-1, signals.shape[1]), signals
        )
        return frames, summed / summed[:, :1]


def _expected(heatmap: Tensor, query: Tensor) -> Tensor:
    """Class logits [1, k, h, w] and shares of classes [n, k] -> expected probability [n, h, w]"""
    probabilities = heatmap.squeeze(0).sigmoid()
    return (query @ probabilities.flatten(1)).unflatten(1, probabilities.shape[1:])
