"""Write a model bundle: ONNX graphs, weights, tokenizer, manifest, golden cases and model card.

    python -m segue_training.export --checkpoint PATH --out models/segue-smol
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .bundle_parts import BundleParts
from .golden import GoldenQuestion, check_golden, write_golden
from .manifest import build_manifest, write_json
from .model import load_facts, load_model
from .model_card import model_card
from .onnx_graph import WeightFiles
from .onnx_language import build_decode, build_prefill
from .onnx_modules import export_decoder, export_encoder, export_seg_head
from .onnx_weights import FLOAT16, FLOAT32, INT4, INT8, place_language_weights
from .outliers import find_outliers
from .own_bundle import golden_questions, own_parts
from .runtime import Runtime
from .segue_smol import smol_parts
from .torch_stages import TorchStages

GOLDEN_TOLERANCE = {FLOAT32: (0.99, 0.01), FLOAT16: (0.98, 0.02), INT8: (0.97, 0.03), INT4: (0.97, 0.03)}
"""By precision: least IoU to PyTorch's mask, largest difference to its score."""


def export_bundle(
    parts: BundleParts,
    folder: Path,
    questions: list[GoldenQuestion],
    precision: str = INT8,
    check: bool = True,
) -> None:
    """Write the whole bundle; the same parts give the same bytes. `folder` is replaced when everything is written.

    `questions` become the golden cases. check: ask the written bundle these questions.

    Raises ValueError when the written graphs do not give the golden answers of the PyTorch model.
    """
    with replaced(folder) as partial:
        _write(parts, partial, questions, precision)
        if check:
            check_golden(partial)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` when the block ends well."""
    partial = folder.with_name(f"{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    yield partial
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _write(parts: BundleParts, partial: Path, questions: list[GoldenQuestion], precision: str) -> None:
    frame, hidden = parts.image.frame, parts.language.config.hidden
    encoded = export_encoder(parts.encoder, frame, partial / "encoder.onnx")
    prompt = export_seg_head(parts.seg_head, hidden, partial / "seg_head.onnx")
    export_decoder(parts.decoder, encoded, prompt, frame, partial / "decoder.onnx")
    weights = WeightFiles(partial)
    outliers = parts.outliers or find_outliers(parts.language, [_prompt(parts, question) for question in questions])
    place_language_weights(weights, parts.language, precision, outliers)
    image, bias = parts.tokenizer.image, parts.first_token_bias
    build_prefill(parts.language.config, weights, precision, image, bias, partial / "prefill.onnx")
    build_decode(parts.language.config, weights, precision, partial / "decode.onnx")
    parts.tokenizer.save(partial / "tokenizer.json")
    manifest = build_manifest(parts, partial)
    reference = Runtime(manifest, parts.tokenizer, TorchStages(parts))
    manifest["golden"] = write_golden(reference, questions, partial, *GOLDEN_TOLERANCE[precision])
    save_manifest(partial, manifest)


def save_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `manifest.json` and the model card, made from it and from NAME.md beside this file where there is one."""
    write_json(folder / "manifest.json", manifest)
    notes = Path(__file__).with_name(f"{manifest['name']}.md")
    card = model_card(manifest, notes.read_text(encoding="utf-8") if notes.exists() else "")
    (folder / "README.md").write_text(card, encoding="utf-8")


def _prompt(parts: BundleParts, case: GoldenQuestion) -> Tensor:
    """What the language model reads for a question: float32[1, S, H]"""
    with torch.inference_mode():
        pixels = torch.from_numpy(parts.image.prepare(Image.open(case.picture))[0])
        visual = parts.encoder(pixels)["visual_tokens"]
        before, behind = parts.tokenizer.picture_ids(0), parts.tokenizer.question_ids(case.question)
        text = [parts.language.embed(torch.tensor([ids])) for ids in (before, behind)]
        return torch.cat((text[0], visual, text[1]), dim=1)


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTIONS = (
    ("coffee.jpg", "Can you segment the cup in this image?"),
    ("coffee.jpg", "What here could I drink from?"),
    ("coffee.jpg", "What could I stir a drink with?"),
    ("coffee.jpg", "Segment the cup and the spoon."),
    ("coffee.jpg", "Is there a dog in this image?"),
    ("cat.jpg", "Can you segment the cat in this image?"),
    ("cat.jpg", "Which animal here likes to chase mice?"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the bundle of a trained checkpoint.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file that training wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; what is in it is replaced")
    parser.add_argument("--precision", choices=(INT8, INT4, FLOAT16, FLOAT32), default=INT8, help="of the language model's base weights")
    parser.add_argument("--data", type=Path, help="for a fine-tuned checkpoint: its own data, which give the golden questions")
    options = parser.parse_args(arguments)
    try:
        export(options)
    except ValueError as error:
        sys.exit(str(error))


def export(options: argparse.Namespace) -> None:
    """Raises ValueError when a checkpoint and the options do not fit together, or the bundle does not answer as PyTorch does."""
    if options.data is None:
        questions = [GoldenQuestion(EXAMPLES / picture, text) for picture, text in QUESTIONS]
        export_bundle(smol_parts(options.checkpoint, options.out.name), options.out, questions, options.precision)
    else:
        model, facts = load_model(options.checkpoint), load_facts(options.checkpoint)
        parts = own_parts(model, facts, options.out.name)
        export_bundle(parts, options.out, golden_questions(model, options.data), options.precision)


if __name__ == "__main__":
    main()
