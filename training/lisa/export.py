"""Write the bundle of a LISA checkpoint, one module at a time in memory.

segue-export lisa --checkpoint LISA-7B-v1 --clip clip-vit-large-patch14 --precision int4 --out models/lisa-7b-v1
"""

from __future__ import annotations

import argparse
import gc
import logging
from pathlib import Path
from typing import Any

import torch

from segue_training.bundle.folder import check_replaceable, replaced
from segue_training.bundle.golden import GoldenQuestion, check_golden, write_golden
from segue_training.bundle.graphs.graph import WeightFiles
from segue_training.bundle.graphs.language import build_language
from segue_training.bundle.graphs.modules import export_decoder, export_encoder, export_seg_head
from segue_training.bundle.graphs.weights import FLOAT16, FLOAT32, INT4, place_layer, place_norm, place_table
from segue_training.bundle.manifest import build_manifest, describe_file, write_json
from segue_training.bundle.parts import BundleFacts
from segue_training.bundle.runtime import Runtime
from segue_training.bundle.torch_stages import TorchStages
from segue_training.model.language import RmsNorm

from .facts import CLIP, bundle_name, lisa_facts, lisa_parts
from .model import LisaCheckpoint
from .model_card import lisa_card

PRECISIONS = {
    # Of the language model; everything else stays float32. Least IoU to PyTorch's mask, largest difference to its score.
    FLOAT32: (0.99, 0.01),
    FLOAT16: (0.98, 0.02),
    INT4: (0.9, 0.1),
}
_FILE_LIMIT = 1_900_000_000
_log = logging.getLogger("lisa.export")


def export_lisa(
    source: LisaCheckpoint, folder: Path, facts: BundleFacts, precision: str, questions: list[GoldenQuestion]
) -> None:
    """Write the bundle; `folder` is replaced when everything is written.

    questions: become golden cases, for which the whole model is computed in PyTorch and float32; without any the largest
    thing in memory is one module, or one layer of the language model.

    Raises ValueError when `folder` holds something else than a bundle, the checkpoint's parts do not fit each other, or the
    graphs not the golden answers.
    """
    with replaced(folder) as partial:
        weights = WeightFiles(partial, _FILE_LIMIT)
        prompt = _export_vision(source, facts, weights)
        config = source.language_config
        place_language(source, weights, precision)
        build_language(config, weights, precision, facts.tokenizer.image, {}, partial / "language.onnx")
        facts.tokenizer.save(partial / "tokenizer.json")
        manifest = build_manifest(facts, partial)
        manifest["golden"] = _golden(source, facts, manifest, questions, partial, precision)
        write_json(partial / "manifest.json", manifest)
        (partial / "README.md").write_text(lisa_card(manifest, precision), encoding="utf-8")
        if questions:
            _log.info("Asking the bundle its %d golden questions", len(questions))
            check_golden(partial)
    _log.info("%s: prompts of %d values, %s language model", folder, prompt, precision)


def place_language(source: LisaCheckpoint, weights: WeightFiles, precision: str) -> None:
    """Write the language model's weights layer by layer."""
    config = source.language_config
    for name in ("embedding", "head"):
        place_table(weights, name, source.table(name), precision)
    for index in range(config.layers):
        _log.info("Layer %d of %d", index + 1, config.layers)
        place_layer(weights, index, source.layer(index), precision)
        source.weights.release()
    norm = RmsNorm(config.hidden, config.norm_eps)
    norm.weight.copy_(source.final_norm())
    place_norm(weights, "norm", norm)


def _export_vision(source: LisaCheckpoint, facts: BundleFacts, weights: WeightFiles) -> int:
    """Everything but the language model; returns the prompts' size."""
    folder, frame, hidden = weights.folder, facts.image.frame, source.language_config.hidden
    _log.info("Segment Anything's encoder")
    encoded = export_encoder(source.sam_encoder(), frame, folder / "encoder.onnx", ["image_embeddings"], weights)
    gc.collect()
    _log.info("CLIP's tower and the projector")
    clip = facts.further_images[CLIP]
    seen = export_encoder(source.vision_tower(), clip.frame, folder / f"{CLIP}.onnx", ["visual_tokens"], weights)
    if seen["visual_tokens"].shape[2] != hidden:
        raise ValueError(f"The projector gives {seen['visual_tokens'].shape[2]} values, the language model takes {hidden}")
    gc.collect()
    _log.info("Heads")
    prompt = export_seg_head(source.seg_head(), hidden, folder / "seg_head.onnx")
    stage = source.mask_stage()
    if stage.positions.shape[1] != prompt:
        raise ValueError(f"text_hidden_fcs gives {prompt} values, the mask decoder takes {stage.positions.shape[1]}")
    export_decoder(stage, encoded, prompt, frame, folder / "decoder.onnx")
    return prompt


def _golden(
    source: LisaCheckpoint,
    facts: BundleFacts,
    manifest: dict[str, Any],
    questions: list[GoldenQuestion],
    folder: Path,
    precision: str,
) -> dict[str, Any]:
    if questions:
        reference = Runtime(manifest, facts.tokenizer, TorchStages(lisa_parts(source, facts)))
        return write_golden(reference, questions, folder, *PRECISIONS[precision], inside=True)
    (folder / "golden").mkdir()
    write_json(folder / "golden" / "cases.json", [])
    return describe_file(folder / "golden" / "cases.json", folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="segue-export lisa", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of LISA-7B-v1 or one of its family")
    parser.add_argument("--clip", type=Path, required=True, help="folder of the CLIP tower that its config.json names")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; one that is there is replaced")
    parser.add_argument("--precision", choices=PRECISIONS, default=FLOAT16, help="of the language model's weights")
    parser.add_argument("--name", help="of the bundle; the checkpoint's folder unless given")
    parser.add_argument("--version", default="1.0.0", help="of the bundle")
    parser.add_argument(
        "--golden",
        nargs=2,
        action="append",
        default=[],
        metavar=("PICTURE", "QUESTION"),
        help="a case to compute in PyTorch as well; the whole model must fit into memory as float32",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("lisa").setLevel(logging.INFO)
    torch.set_grad_enabled(False)
    check_replaceable(options.out)
    source = LisaCheckpoint(options.checkpoint, options.clip)
    facts = lisa_facts(source, options.name or bundle_name(options.checkpoint.name), options.version)
    questions = [GoldenQuestion(Path(picture), question) for picture, question in options.golden]
    export_lisa(source, options.out, facts, options.precision, questions)


if __name__ == "__main__":
    main()
