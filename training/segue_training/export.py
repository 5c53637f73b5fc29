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
from .onnx_language import INT8, build_decode, build_prefill, place_language_weights
from .onnx_modules import export_decoder, export_encoder, export_seg_head
from .runtime import Runtime
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
    build_prefill(parts.language, weights, precision, parts.tokenizer.image, folder / "prefill.onnx")
    build_decode(parts.language, weights, precision, folder / "decode.onnx")
    parts.tokenizer.save(folder / "tokenizer.json")
    manifest = build_manifest(parts, folder)
    manifest["golden"] = write_golden(Runtime(manifest, parts.tokenizer, TorchStages(parts)), questions, folder)
    write_json(folder / "manifest.json", manifest)
    (folder / "README.md").write_text(model_card(manifest), encoding="utf-8")
