"""The graphs of a bundle computed by the PyTorch modules themselves: the reference that exported graphs are held against."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .parts import BundleParts
from .runtime import Tensors


class TorchStages:
    """`runtime.Stages` over modules, float32. Language rows are computed one by one, without padding."""

    def __init__(self, parts: BundleParts):
        self._parts = parts

    @torch.inference_mode()
    def run(self, graph: str, inputs: Tensors) -> Tensors:
        given = {name: torch.from_numpy(np.asarray(value)) for name, value in inputs.items()}
        further = self._parts.further_encoders
        outputs = further[graph](**given) if graph in further else getattr(self, f"_{graph}")(**given)
        return {name: value.numpy() for name, value in outputs.items()}

    def _encoder(self, pixels: Tensor) -> dict[str, Tensor]:
        return self._parts.encoder(pixels)

    def _language(
        self,
        input_ids: Tensor,
        lengths: Tensor,
        visual_tokens: Tensor,
        past_kv: Tensor,
        past_lengths: Tensor,
        answer_starts: Tensor,
        last: Tensor,
    ) -> dict[str, Tensor]:
        language, rows = self._parts.language, []
        for row, length in enumerate(lengths.tolist()):
            ids = input_ids[row, :length]
            embeds = language.embed(ids)
            places = ids.eq(self._parts.tokenizer.image).nonzero()[:, 0]
            embeds[places] = visual_tokens[row, : len(places)]
            hidden, kv = language(embeds[None], past_kv=_unpack(past_kv[:, row : row + 1, :, : past_lengths[row]]))
            wanted = torch.arange(length - int(last), length).clamp(min=0)
            logits = language.logits(hidden[0, wanted])
            for index, amount in self._parts.first_token_bias.items():
                logits[wanted.eq(answer_starts[row]), index] += amount
            logprobs, tokens = logits.log_softmax(-1).max(-1)
            kv = F.pad(_pack(kv), (0, 0, 0, input_ids.shape[1] - length))
            chosen = {"hidden": hidden[0, wanted], "tokens": tokens, "logprobs": logprobs}
            rows.append({"kv": kv[:, 0], **chosen})
        return {name: torch.stack([row[name] for row in rows], dim=1 if name == "kv" else 0) for name in rows[0]}

    def _seg_head(self, hidden: Tensor) -> dict[str, Tensor]:
        return {"seg_embeddings": self._parts.seg_head(hidden)}

    def _decoder(
        self, seg_embeddings: Tensor, resized_size: Tensor, original_size: Tensor, **tensors: Tensor
    ) -> dict[str, Tensor]:
        logits, scores = self._parts.decoder(tensors, seg_embeddings, resized_size)
        height, width = resized_size.tolist()
        inside = logits[:, None, :height, :width]
        full = F.interpolate(inside, tuple(original_size.tolist()), mode="bilinear", align_corners=False)
        masks = (full[:, 0] > 0).to(torch.uint8)
        return {"masks": masks, "scores": scores, "peak_logit": logits.abs().amax((1, 2))}


def _pack(kv: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Per layer (keys, values) -> float[2 * layers, B, K, n, D]"""
    return torch.stack([tensor for pair in kv for tensor in pair])


def _unpack(packed: Tensor) -> list[tuple[Tensor, Tensor]] | None:
    return None if packed.shape[3] == 0 else list(zip(packed[0::2], packed[1::2], strict=True))
