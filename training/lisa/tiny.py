"""A LISA of toy size with random weights, saved as its authors save theirs, and `models/tiny-lisa` made from it.

    python -m lisa.tiny --out models/tiny-lisa

It has every class and every key of the published checkpoints: the language model in bfloat16, Segment Anything and
`text_hidden_fcs` in float32, two shards with an index, the tensors that LISA never reads, and CLIP in a folder of its own
with its text tower. A random language model would ramble without end, so the head's rows are weighted: words, `[SEG]` and
the end token are chosen more often than the rest. The seed was picked by trying one after the other until all golden
questions had answers that end and masks that are neither empty nor full.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, LlamaConfig, LlamaForCausalLM

from segue_training.bundle.golden import GoldenQuestion
from segue_training.bundle.graphs.weights import FLOAT32
from segue_training.tiny import tiny_pictures

from .checkpoint import save_sharded
from .export import export_lisa
from .facts import lisa_facts
from .model import LisaCheckpoint
from .sam_decoder import MaskDecoder, PromptEncoder, ReluMlp, SamDecoderConfig
from .sam_encoder import SamEncoderConfig, SamImageEncoder
from .tiny_sentences import SENTENCES, WORDS

SEED = 39
HIDDEN, PROMPT, PIECES = 64, 32, 400
SAM = SamEncoderConfig(frame=96, patch=16, width=32, heads=2, mlp=64, out=PROMPT, windows=(4, 0, 4, 0))
QUESTIONS = (
    "What is here?",
    "Where is the cat?",
    "Segment the red ball and the tree.",
    "Is there a dog on the table?",
    "Birds have wings.",
)
FAMILIES = {
    # Added tokens in the order of their ids, and layers of the projector.
    "v1": (("<im_patch>", "<im_start>", "<im_end>", "[SEG]"), 1),
    "llava-1.5": (("[SEG]", "<im_start>", "<im_end>"), 2),
}


def save_tiny(folder: Path, family: str = "v1", seed: int = SEED, legacy: bool = False) -> LisaCheckpoint:
    """Write `folder/lisa` and `folder/clip`; the same seed gives the same bytes."""
    torch.manual_seed(seed)
    lisa, clip = folder / "lisa", folder / "clip"
    lisa.mkdir(parents=True)
    clip.mkdir()
    added, layers = FAMILIES[family]
    pieces = _save_tokenizer(lisa, added, legacy)
    vocabulary = pieces.get_piece_size() + len(added)
    with torch.no_grad():
        tensors = {
            **_language(pieces, added),
            **_named("model.mm_projector", _projector(layers), torch.bfloat16),
            **_named("model.text_hidden_fcs.0", _seg_head()),
            **_named("model.visual_model.image_encoder", _randomised(SamImageEncoder(SAM))),
            **_sam_prompts(),
        }
        save_sharded(lisa, tensors, shards=2)
        _save_clip(clip)
    config = {
        "architectures": ["LISAForCausalLM"],
        "model_type": "llava",
        "transformers_version": "4.31.0",
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "use_cache": False,
        "out_dim": PROMPT,
        "train_mask_decoder": True,
        "image_aspect_ratio": "square",
        "mm_hidden_size": 32,
        "mm_use_im_start_end": True,
        "mm_use_im_patch_token": False,
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "vision_tower": "openai/clip-vit-large-patch14",
    }
    _write(lisa / "config.json", config)
    return LisaCheckpoint(lisa, clip)


def export_tiny_lisa(folder: Path, seed: int = SEED) -> None:
    """Write the bundle that tests use; weights stay float32, so that every machine computes the same tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        source = save_tiny(Path(scratch), seed=seed)
        pictures = tiny_pictures(Path(scratch) / "pictures")
        questions = [GoldenQuestion(picture, text) for picture in pictures for text in QUESTIONS]
        facts = lisa_facts(source, "tiny-lisa", "0.1.0", purpose="test-only")
        facts.description = "LISA's architecture at toy size with random weights, for tests. Its answers mean nothing."
        facts.origins = [{"part": "all weights", "source": "random numbers", "version": str(seed), "license": "Apache-2.0"}]
        facts.limits = replace(facts.limits, max_new_tokens=48)
        export_lisa(source, folder, facts, FLOAT32, questions)


def _save_tokenizer(folder: Path, added: tuple[str, ...], legacy: bool) -> sentencepiece.SentencePieceProcessor:
    """A tokenizer of Llama's kind, trained on a few sentences."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=PIECES,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    _write(folder / "added_tokens.json", {token: pieces.get_piece_size() + index for index, token in enumerate(added)})
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "legacy": legacy, "model_max_length": 512})
    return pieces


def _language(pieces: sentencepiece.SentencePieceProcessor, added: tuple[str, ...]) -> dict[str, Tensor]:
    size = pieces.get_piece_size() + len(added)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=HIDDEN,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        rms_norm_eps=1e-6,
    )
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.normal_(0, 1 if "embed" in name else 1.2 / parameter.shape[1] ** 0.5)
        else:
            parameter.uniform_(0.7, 1.3)
    model.lm_head.weight.copy_(torch.randn(size, HIDDEN) * _row_sizes(pieces, added)[:, None])
    stored = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    # Buffers that the pinned version saved with the model.
    frequencies = 10_000.0 ** (-torch.arange(0, 16, 2).float() / 16)
    return stored | {f"model.layers.{index}.self_attn.rotary_emb.inv_freq": frequencies.clone() for index in range(2)}


def _row_sizes(pieces: sentencepiece.SentencePieceProcessor, added: tuple[str, ...]) -> Tensor:
    """Size of each token's row in the head: a large one is chosen often, a small one hardly ever."""
    sizes = torch.full((pieces.get_piece_size() + len(added),), 0.4)
    for index in range(pieces.get_piece_size()):
        if pieces.id_to_piece(index).strip("▁") in WORDS:
            sizes[index] = 1.0
    sizes[pieces.eos_id()] = 1.6
    sizes[pieces.get_piece_size() + added.index("[SEG]")] = 1.5
    return sizes


def _projector(layers: int) -> nn.Module:
    if layers == 1:
        return nn.Linear(32, HIDDEN)
    return nn.Sequential(nn.Linear(32, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN))


def _seg_head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PROMPT), nn.Dropout(0.0))


M = TypeVar("M", bound=nn.Module)


def _sam_prompts() -> dict[str, Tensor]:
    """Prompt encoder and mask decoder, with the tensors of points and earlier masks that LISA carries along."""
    prompts = _randomised(PromptEncoder(PROMPT, SAM.grid))
    prompts.pe_layer.positional_encoding_gaussian_matrix.normal_()
    carried = {f"point_embeddings.{index}.weight": torch.randn(1, PROMPT) for index in range(4)}
    carried["not_a_point_embed.weight"] = torch.randn(1, PROMPT)
    carried |= _named("mask_downscaling", nn.Sequential(nn.Conv2d(1, 4, 2, 2), nn.GroupNorm(1, 4)))
    config = SamDecoderConfig(channels=PROMPT, grid=SAM.grid, depth=2, mlp=64, mask_tokens=4, iou_hidden=32)
    decoder = _randomised(MaskDecoder(config))
    for filters in decoder.output_hypernetworks_mlps:  # logits of a usual size, which a score can tell apart
        assert isinstance(filters, ReluMlp)
        for parameter in filters.layers[-1].parameters():
            parameter.mul_(8)
    return {
        **_named("model.visual_model.prompt_encoder", prompts),
        **{f"model.visual_model.prompt_encoder.{name}": value for name, value in carried.items()},
        **_named("model.visual_model.mask_decoder", decoder),
    }


def _randomised(module: M) -> M:
    """Weights large enough that every part shows in the result, also those that are initialised with 0."""
    for name, parameter in module.named_parameters():
        if "norm" in name or parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter) * 0.1)
        else:
            fan = parameter[0].numel()
            parameter.normal_(0, 1.0 / fan**0.5 if parameter.dim() == 2 and "embed" not in name else 0.5)
    return module


def _named(prefix: str, module: nn.Module, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value.to(dtype) for name, value in module.state_dict().items()}


def _save_clip(folder: Path) -> None:
    """A CLIP with both towers, as published; 28 pixels in patches of 7 give 16 visual tokens."""
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 7,
        "projection_dim": 16,
    }
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=16))
    for parameter in model.vision_model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.15)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    tensors["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / "config.json", {"model_type": "clip", "vision_config": vision, "text_config": text})
    processor = {
        "do_resize": True,
        "size": 28,
        "resample": 3,
        "do_center_crop": True,
        "crop_size": 28,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    _write(folder / "preprocessor_config.json", processor)


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m lisa.tiny", description="Write the bundle of a random LISA that tests use.")
    parser.add_argument("--out", type=Path, default=Path("models/tiny-lisa"))
    export_tiny_lisa(parser.parse_args().out)
