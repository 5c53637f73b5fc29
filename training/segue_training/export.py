"""Write a model bundle: ONNX graphs, weights, tokenizer, manifest, golden cases and model card.

    python -m segue_training.export --checkpoint PATH --out models/segue-smol
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from .bundle_parts import BundleParts
from .golden import GoldenQuestion, write_golden
from .manifest import build_manifest, write_json
from .model_card import model_card
from .onnx_graph import WeightFiles
from .onnx_language import build_decode, build_prefill
from .onnx_layers import FLOAT32, INT8, place_language_weights
from .onnx_modules import export_decoder, export_encoder, export_seg_head
from .runtime import Runtime
from .segue_smol import smol_parts
from .torch_stages import TorchStages


def export_bundle(parts: BundleParts, folder: Path, questions: list[GoldenQuestion], precision: str = INT8) -> None:
    """Write the whole bundle into `folder`, which is emptied first. The same parts give the same bytes."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    encoded = export_encoder(parts, folder / "encoder.onnx")
    export_seg_head(parts, folder / "seg_head.onnx")
    export_decoder(parts, encoded, folder / "decoder.onnx")
    weights = WeightFiles(folder)
    place_language_weights(weights, parts.language, precision)
    image, bias = parts.tokenizer.image, parts.first_token_bias
    build_prefill(parts.language, weights, precision, image, bias, folder / "prefill.onnx")
    build_decode(parts.language, weights, precision, folder / "decode.onnx")
    parts.tokenizer.save(folder / "tokenizer.json")
    manifest = build_manifest(parts, folder)
    manifest["golden"] = write_golden(Runtime(manifest, parts.tokenizer, TorchStages(parts)), questions, folder)
    write_json(folder / "manifest.json", manifest)
    (folder / "README.md").write_text(model_card(manifest), encoding="utf-8")


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTIONS = (
    ("coffee.jpg", "Can you segment the cup in this image?"),
    ("coffee.jpg", "What here could I drink from?"),
    ("coffee.jpg", "What could I stir a drink with?"),
    ("coffee.jpg", "Is there a dog in this image?"),
    ("cat.jpg", "Can you segment the cat in this image?"),
    ("cat.jpg", "Which animal here likes to chase mice?"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the bundle of a trained checkpoint.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file that training wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; what is in it is replaced")
    parser.add_argument("--precision", choices=(INT8, FLOAT32), default=INT8, help="of the language model's base weights")
    options = parser.parse_args()
    questions = [GoldenQuestion(EXAMPLES / picture, text) for picture, text in QUESTIONS]
    export_bundle(smol_parts(options.checkpoint), options.out, questions, options.precision)


if __name__ == "__main__":
    main()
