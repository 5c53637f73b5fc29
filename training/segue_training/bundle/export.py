"""Write a model bundle: ONNX graphs, weights, tokenizer, manifest, golden cases and model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .folder import replaced
from .golden import GoldenQuestion, check_golden, write_golden
from .graphs.border import carry_as_levels
from .graphs.graph import WeightFiles
from .graphs.language import build_language
from .graphs.modules import export_decoder, export_encoder, export_seg_head
from .graphs.weights import FLOAT16, FLOAT32, INT4, INT8, place_language_weights
from .manifest import build_manifest, write_json
from .model_card import model_card
from .outliers import find_outliers
from .parts import BundleParts
from .runtime import Runtime
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

    Raises ValueError when `folder` holds something else than a bundle, or the written graphs do not give the golden answers of
    the PyTorch model.
    """
    with replaced(folder) as partial:
        _write(parts, partial, questions, precision)
        if check:
            check_golden(partial)


def _write(parts: BundleParts, partial: Path, questions: list[GoldenQuestion], precision: str) -> None:
    frame, hidden = parts.image.frame, parts.language.config.hidden
    encoded = export_encoder(parts.encoder, frame, partial / "encoder.onnx", dtype=parts.image.dtype)
    prompt = export_seg_head(parts.seg_head, hidden, partial / "seg_head.onnx")
    export_decoder(parts.decoder, encoded, prompt, frame, partial / "decoder.onnx", parts.levels)
    carry_as_levels(partial / "encoder.onnx", partial / "decoder.onnx", parts.levels)
    weights = WeightFiles(partial)
    outliers = parts.outliers or find_outliers(parts.language, [_prompt(parts, question) for question in questions])
    place_language_weights(weights, parts.language, precision, outliers)
    image, bias = parts.tokenizer.image, parts.first_token_bias
    build_language(parts.language.config, weights, precision, image, bias, partial / "language.onnx")
    parts.tokenizer.save(partial / "tokenizer.json")
    manifest = build_manifest(parts, partial)
    reference = Runtime(manifest, parts.tokenizer, TorchStages(parts))
    manifest["golden"] = write_golden(reference, questions, partial, *GOLDEN_TOLERANCE[precision])
    save_manifest(partial, manifest)


def save_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `manifest.json` and the model card, made from it and from notes/NAME.md where there is one."""
    write_json(folder / "manifest.json", manifest)
    notes = Path(__file__).parent / "notes" / f"{manifest['name']}.md"
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
