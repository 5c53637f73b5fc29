"""`models/tiny-random`: a bundle of toy size with random weights, for tests.

    python -m segue_training.tiny --out models/tiny-random

It has every graph of a real bundle and comes from the same exporter, but it has learnt nothing. A random language model
would ramble without end, so its vocabulary is weighted: printable words and the tokens `<SEG>` and end-of-turn have
larger rows in the head and are therefore chosen more often. The seed was picked by trying one after the other until all
golden questions had answers that end, among them some without, with one and with several segments.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from tokenizers import pre_tokenizers
from torch import Tensor, nn

from segue_training.bundle.export import export_bundle
from segue_training.bundle.golden import GoldenQuestion
from segue_training.bundle.graphs.weights import FLOAT32
from segue_training.bundle.parts import BundleParts
from segue_training.bundle.picture import ImageInput
from segue_training.model.config import Limits
from segue_training.model.language import LanguageConfig, LanguageModel
from segue_training.model.tokenization import SegueTokenizer, byte_bpe

SEED = 153
PROMPT, CHANNELS, GRID = 16, 16, 4
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = (
    "the",
    "a",
    "cup",
    "cat",
    "dog",
    "red",
    "left",
    "large",
    "is",
    "it",
    "and",
    "in",
    "on",
    "of",
    "here",
    "there",
    "see",
    "table",
    "tree",
    "ball",
    "user",
    "assistant",
)
QUESTIONS = ("What is here?", "Where is the cat?", "Segment the red ball and the tree.", "Is there a dog on the table?")


class TinyEncoder(nn.Module):
    """pixels float32[1, 3, 64, 64] -> coarse [1, 16, 16, 16], fine [1, 16, 32, 32], visual_tokens [1, 16, hidden]"""

    def __init__(self, hidden: int):
        super().__init__()
        self.fine = nn.Conv2d(3, CHANNELS, 5, stride=2, padding=2)
        self.coarse = nn.Conv2d(CHANNELS, CHANNELS, 5, stride=2, padding=2)
        self.tokens = nn.Linear(CHANNELS, hidden)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        fine = torch.tanh(self.fine(pixels))
        coarse = torch.tanh(self.coarse(fine))
        cells = nn.functional.avg_pool2d(coarse, coarse.shape[-1] // GRID)
        return {"coarse": coarse, "fine": fine, "visual_tokens": self.tokens(cells.flatten(2).transpose(1, 2))}


class TinyDecoder(nn.Module):
    """Prompts as filters over the encoder's maps. Logits have mean 0, so that a mask is neither empty nor full."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine = nn.Linear(PROMPT, CHANNELS), nn.Linear(PROMPT, CHANNELS)

    def forward(self, tensors: dict[str, Tensor], prompts: Tensor, resized_size: Tensor) -> tuple[Tensor, Tensor]:
        drawn: list[Tensor] = []
        for name, layer in (("coarse", self.coarse), ("fine", self.fine)):
            weights = layer(prompts)
            found = torch.einsum("nc,chw->nhw", weights, tensors[name][0])
            found = found - found.mean((1, 2), keepdim=True)
            drawn.append(nn.functional.interpolate(found[:, None], size=(64, 64), mode="bilinear")[:, 0])
        logits = drawn[0] + drawn[1]
        # The decoder's interface passes the picture's part of the frame; here only the score depends on it.
        share = resized_size.to(logits.dtype).prod() / (64 * 64)
        return logits, torch.sigmoid(logits.abs().mean((1, 2)) * share)


def tiny_tokenizer() -> SegueTokenizer:
    """Bytes and a few whole words, with and without a blank before them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens, merges = [*CONTROL, *letters], []
    for word in (start + word for word in WORDS for start in ("Ġ", "")):
        for length in range(2, len(word) + 1):
            pair = (word[: length - 1], word[length - 1])
            if "".join(pair) not in tokens:
                tokens.append("".join(pair))
                merges.append(pair)
    return byte_bpe(tokens, merges, CONTROL)


def tiny_parts(seed: int) -> BundleParts:
    """Random modules behind the interfaces of the real ones."""
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    config = LanguageConfig(
        vocab_size=tokenizer.seg,
        hidden=32,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=8,
        ffn=64,
        lora_rank=4,
        tied_head=False,
    )
    language = LanguageModel(config)
    assert language.head is not None and language.new_head is not None  # not tied
    with torch.no_grad():
        language.embedding.normal_()
        language.new_embedding.normal_()
        language.head.copy_(torch.randn(config.vocab_size, config.hidden) * _row_sizes(tokenizer)[:, None])
        language.new_head.copy_(torch.randn(2, config.hidden) * torch.tensor([[1.5], [0.0]]))
        for layer in language.layers:
            for linear in (layer.qkv, layer.out, layer.gate_up, layer.down):
                linear.weight.normal_(0, 1.2 / linear.weight.shape[1] ** 0.5)
                for b in linear.lora_b:
                    b.normal_(0, 0.1)
    return BundleParts(
        name="tiny-random",
        version="0.1.0",
        purpose="test-only",
        description="Random weights at toy size, for tests. Its answers and masks mean nothing.",
        image=ImageInput(frame=64, rescale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        encoder=TinyEncoder(config.hidden).eval(),
        language=language.eval(),
        seg_head=nn.Sequential(nn.Linear(config.hidden, config.hidden), nn.ReLU(), nn.Linear(config.hidden, PROMPT)).eval(),
        decoder=TinyDecoder().eval(),
        tokenizer=tokenizer,
        mask_only_prefix="",
        limits=Limits(context_tokens=512, max_question_tokens=256, max_new_tokens=48),
        origins=[{"part": "all weights", "source": "random numbers", "version": str(seed), "license": "Apache-2.0"}],
        training={"trained": False, "seed": seed},
    )


def _row_sizes(tokenizer: SegueTokenizer) -> Tensor:
    """Size of each base token's row in the head: a large one is chosen often, a small one hardly ever."""
    sizes = torch.full((tokenizer.seg,), 0.4)
    for index in range(tokenizer.seg):
        token = tokenizer.tokenizer.id_to_token(index) or ""
        if len(token) > 2 and token.strip("Ġ") in WORDS and token not in CONTROL:
            sizes[index] = 1.0
    sizes[tokenizer.end] = 1.6
    sizes[tokenizer.encode(".")[0]] = 1.0
    return sizes


def tiny_pictures(folder: Path) -> list[Path]:
    """Two small drawings, one wide and one tall."""
    folder.mkdir(parents=True, exist_ok=True)
    wide = Image.new("RGB", (96, 60), (210, 220, 235))
    draw = ImageDraw.Draw(wide)
    draw.ellipse((10, 12, 48, 50), fill=(200, 40, 30))
    draw.rectangle((60, 20, 90, 56), fill=(40, 120, 60))
    tall = Image.new("RGB", (50, 90), (90, 70, 50))
    draw = ImageDraw.Draw(tall)
    draw.polygon([(25, 5), (45, 60), (5, 60)], fill=(240, 220, 40))
    draw.rectangle((20, 60, 30, 85), fill=(30, 30, 60))
    paths = [folder / "wide.png", folder / "tall.png"]
    wide.save(paths[0])
    tall.save(paths[1])
    return paths


def export_tiny(folder: Path, seed: int = SEED) -> None:
    """Write the bundle; weights stay float32, so that every machine computes the same tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        questions = [GoldenQuestion(picture, text) for picture in tiny_pictures(Path(scratch)) for text in QUESTIONS]
        export_bundle(tiny_parts(seed), folder, questions, FLOAT32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.tiny", description="Write the bundle of random weights that tests use."
    )
    parser.add_argument("--out", type=Path, default=Path("models/tiny-random"))
    export_tiny(parser.parse_args().out)
