"""LISA's `evaluate` once more, over the classes of transformers and the raw tensors of a checkpoint.

Nothing here is shared with the exporter but the slow tokenizer: the whole sequence is computed again for every token,
without a cache; the `[SEG]` states are found afterwards by shifting the ids; Segment Anything and CLIP are transformers'.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from slow_tokenizer import SlowTokenizer
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, SamConfig, SamModel

from lisa.tokenizer import SYSTEM

SAM_NAMES = (
    (r"image_encoder\.patch_embed\.proj", "vision_encoder.patch_embed.projection"),
    (r"image_encoder\.blocks\.(\d+)\.norm(\d)", r"vision_encoder.layers.\1.layer_norm\2"),
    (r"image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"image_encoder\.neck\.0", "vision_encoder.neck.conv1"),
    (r"image_encoder\.neck\.1", "vision_encoder.neck.layer_norm1"),
    (r"image_encoder\.neck\.2", "vision_encoder.neck.conv2"),
    (r"image_encoder\.neck\.3", "vision_encoder.neck.layer_norm2"),
    (r"image_encoder\.", "vision_encoder."),
    (r"prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
    (r"mask_decoder\.output_upscaling\.0", "mask_decoder.upscale_conv1"),
    (r"mask_decoder\.output_upscaling\.1", "mask_decoder.upscale_layer_norm"),
    (r"mask_decoder\.output_upscaling\.3", "mask_decoder.upscale_conv2"),
    (r"(transformer\.layers\.\d+)\.norm(\d)", r"\1.layer_norm\2"),
    (r"transformer\.norm_final_attn", "transformer.layer_norm_final_attn"),
    (r"(mlps\.\d+|iou_prediction_head)\.layers\.0", r"\1.proj_in"),
    (r"(mlps\.\d+|iou_prediction_head)\.layers\.1", r"\1.layers.0"),
    (r"(mlps\.\d+|iou_prediction_head)\.layers\.2", r"\1.proj_out"),
)
"""Segment Anything's names -> those of transformers; the first that fits is taken, case by case."""


@dataclass
class Evaluated:
    prompt: list[int]
    tokens: list[int]
    embeddings: Tensor  # float32[n, prompt]
    low_logits: Tensor  # float32[n, 4g, 4g]
    masks: Tensor  # bool[n, height, width]


class Reference:
    def __init__(self, folder: Path, clip: Path):
        self.config = json.loads((folder / "config.json").read_text())
        index = json.loads((folder / "pytorch_model.bin.index.json").read_text())["weight_map"]
        self.tensors: dict[str, Tensor] = {}
        for shard in set(index.values()):
            loaded = torch.load(folder / shard, weights_only=True)
            self.tensors |= {name: value.float() for name, value in loaded.items()}
        added = json.loads((folder / "added_tokens.json").read_text())
        self.tokenizer = SlowTokenizer(
            folder / "tokenizer.model", added, json.loads((folder / "tokenizer_config.json").read_text())["legacy"]
        )
        self.seg = added["[SEG]"]
        self.llama = self._llama()
        self.sam = self._sam()
        vision = json.loads((clip / "config.json").read_text())["vision_config"]
        self.clip = CLIPVisionModel.from_pretrained(clip, config=CLIPVisionConfig(**vision)).eval()

    def _llama(self) -> LlamaForCausalLM:
        names = (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "rms_norm_eps",
        )
        model = LlamaForCausalLM(LlamaConfig(**{name: self.config[name] for name in names}))
        own = {name: self.tensors[name] for name in model.state_dict()}
        model.load_state_dict(own)
        return model.eval()

    def _sam(self) -> SamModel:
        prefix = "model.visual_model."
        stored = {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}
        width, _, patch, _ = stored["image_encoder.patch_embed.proj.weight"].shape
        grid, channels = stored["image_encoder.pos_embed"].shape[1], stored["image_encoder.neck.0.weight"].shape[0]
        tables = {int(name.split(".")[2]): value for name, value in stored.items() if name.endswith("rel_pos_h")}
        rows = [tables[index].shape[0] for index in range(len(tables))]
        image = {"image_size": grid * patch, "patch_size": patch}
        config = SamConfig(
            vision_config={
                **image,
                "hidden_size": width,
                "output_channels": channels,
                "num_hidden_layers": len(tables),
                "num_attention_heads": width // tables[0].shape[1],
                "num_pos_feats": channels // 2,
                "global_attn_indexes": [index for index, size in enumerate(rows) if size == 2 * grid - 1],
                "window_size": (min(rows) + 1) // 2,
                "mlp_dim": stored["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
            },
            prompt_encoder_config={**image, "hidden_size": channels, "image_embedding_size": grid},
            mask_decoder_config={
                # Segment Anything's own; transformers' default differs in the fourth digit of the logits.
                "layer_norm_eps": 1e-5,
                "hidden_size": channels,
                "mlp_dim": stored["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
                "iou_head_hidden_dim": stored["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
            },
        )
        model = SamModel(config)
        renamed = {}
        for name, value in stored.items():
            if name.startswith(("prompt_encoder.point", "prompt_encoder.not_a", "prompt_encoder.mask_down")):
                continue
            for pattern, replacement in SAM_NAMES:
                name, changed = re.subn(pattern, replacement, name)
                if changed and not name.startswith("mask_decoder."):
                    break
            renamed[name] = value
        result = model.load_state_dict(renamed, strict=False)
        assert not result.unexpected_keys
        assert all(name.startswith("prompt_encoder.") for name in result.missing_keys), result.missing_keys
        return model.eval()

    def sam_pixels(self, picture: Image.Image) -> tuple[Tensor, tuple[int, int]]:
        """Longest side to the frame, normalised, then filled with 0 -> pixels and the picture's size in the frame"""
        frame = self.sam.config.vision_config.image_size
        width, height = picture.size
        scale = frame * 1.0 / max(height, width)
        size = (int(height * scale + 0.5), int(width * scale + 0.5))
        values = torch.from_numpy(np.array(picture.convert("RGB").resize(size[::-1], Image.BILINEAR))).permute(2, 0, 1).float()
        mean, std = (torch.tensor(part).view(-1, 1, 1) for part in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
        values = (values - mean) / std
        return F.pad(values, (0, frame - size[1], 0, frame - size[0]))[None], size

    def clip_pixels(self, picture: Image.Image) -> Tensor:
        """Shortest side to the tower's, the long one rounded down; the middle; then normalised."""
        side = self.clip.config.image_size
        width, height = picture.size
        short, long = min(width, height), max(width, height)
        long = int(side * long / short)
        resized = picture.convert("RGB").resize((side, long) if width <= height else (long, side), Image.BICUBIC)
        left, top = (resized.width - side) // 2, (resized.height - side) // 2
        values = np.array(resized.crop((left, top, left + side, top + side)), np.float64) / 255
        values = (values - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
        return torch.from_numpy(values).permute(2, 0, 1).float()[None]

    def visual_tokens(self, picture: Image.Image) -> Tensor:
        states = self.clip(self.clip_pixels(picture), output_hidden_states=True).hidden_states
        x = states[self.config["mm_vision_select_layer"]][:, 1:]
        if "model.mm_projector.weight" in self.tensors:
            return self._linear(x, "model.mm_projector")
        return self._linear(F.gelu(self._linear(x, "model.mm_projector.0")), "model.mm_projector.2")

    def evaluate(self, picture: Image.Image, question: str, longest: int) -> Evaluated:
        prompt = self.tokenizer.prompt(f"{SYSTEM} USER: <im_start><image><im_end>\n{question} ASSISTANT:")
        visual = self.visual_tokens(picture)
        ids = list(prompt)
        while True:
            hidden = self._hidden(ids, visual)
            token = int(self.llama.lm_head(hidden[:, -1]).argmax())
            if token == 2 or len(ids) - len(prompt) == longest:
                break
            ids.append(token)
        # As upstream: the ids, shifted by one, and as many positions more as the picture has beyond its placeholder. A
        # `[SEG]` in the prompt would count as well; there is none.
        output = torch.tensor([*ids, 2])
        marks = torch.cat((torch.zeros(visual.shape[1] - 1, dtype=torch.bool), output[1:] == self.seg))
        embeddings = self.embed(hidden[0][marks])
        low, masks = self.draw(picture, embeddings)
        return Evaluated(prompt, ids[len(prompt) :], embeddings, low, masks)

    def embed(self, hidden: Tensor) -> Tensor:
        return self._linear(F.relu(self._linear(hidden, "model.text_hidden_fcs.0.0")), "model.text_hidden_fcs.0.2")

    def draw(self, picture: Image.Image, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """float32[n, prompt] -> logits at a quarter of the frame, masks at the picture's size"""
        pixels, size = self.sam_pixels(picture)
        image, count = self.sam.get_image_embeddings(pixels), len(embeddings)
        original = picture.size[::-1]
        if count == 0:
            return torch.zeros(0, 1, 1), torch.zeros(0, *original, dtype=torch.bool)
        dense = self.tensors["model.visual_model.prompt_encoder.no_mask_embed.weight"].view(1, -1, 1, 1)
        low = torch.cat(
            [
                self.sam.mask_decoder(
                    image_embeddings=image,
                    image_positional_embeddings=self.sam.get_image_wide_positional_embeddings(),
                    sparse_prompt_embeddings=one[None, None, None],
                    dense_prompt_embeddings=dense.expand(1, -1, *image.shape[2:]),
                    multimask_output=False,
                )[0][0, 0]
                for one in embeddings
            ]
        )
        frame = (self.sam.config.vision_config.image_size,) * 2
        full = F.interpolate(low[:, None].float(), frame, mode="bilinear", align_corners=False)[..., : size[0], : size[1]]
        return low, F.interpolate(full, original, mode="bilinear", align_corners=False)[:, 0] > 0

    def _hidden(self, ids: list[int], visual: Tensor) -> Tensor:
        at = ids.index(-200)
        parts = [self.llama.model.embed_tokens(torch.tensor([part])) for part in (ids[:at], ids[at + 1 :])]
        return self.llama.model(inputs_embeds=torch.cat((parts[0], visual, parts[1]), dim=1), use_cache=False).last_hidden_state

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])
