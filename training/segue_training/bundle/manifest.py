"""`manifest.json` of a bundle: read off the written files and the parts they were made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from segue_training.model.tokenization import camel

from .parts import BundleFacts

GRAPHS = ("encoder", "language", "seg_head", "decoder")
_DTYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.UINT16: "uint16",
}


def build_manifest(parts: BundleFacts, folder: Path) -> dict[str, Any]:
    """The manifest of the files in `folder`; without `golden`, whose cases are computed from it."""
    graphs = {name: describe_graph(folder / f"{name}.onnx") for name in (*parts.images, *GRAPHS[1:])}
    # The first input has the name that the decoder's geometry refers to, further ones that of their graph.
    images = {"main" if graph == "encoder" else graph: graph for graph in parts.images}
    encoded = [output["name"] for graph in parts.images for output in graphs[graph]["outputs"]]
    kv = graphs["language"]["outputs"][0]["shape"]  # [2 * layers, batch, heads, seq, head size]
    tokenizer = parts.tokenizer
    mask_only = None if parts.mask_only_prefix is None else {"answerPrefix": parts.mask_only_prefix}
    return {
        "schemaVersion": 2,
        "name": parts.name,
        "version": parts.version,
        "purpose": parts.purpose,
        "description": parts.description,
        "origins": parts.origins,
        **({"knowledge": parts.knowledge} if parts.knowledge else {}),
        "training": parts.training,
        "quality": parts.quality,
        "images": {image: parts.images[graph].as_manifest() for image, graph in images.items()},
        "graphs": graphs,
        "encoder": {
            "runs": [{"graph": graph, "image": image, "input": "pixels"} for image, graph in images.items()],
            "decoderTensors": [name for name in encoded if name != "visual_tokens"],
            "visualTokens": "visual_tokens",
        },
        "language": {
            "graph": "language",
            "segHead": "seg_head",
            "tokenizer": describe_file(folder / "tokenizer.json"),
            "ids": {
                "seg": tokenizer.seg,
                "image": tokenizer.image,
                "end": [tokenizer.end],
                "bos": tokenizer.begin,
                "pad": tokenizer.pad,
            },
            "segToken": tokenizer.control.seg,
            "template": tokenizer.template.as_manifest(),
            "modes": {"answer": {"answerPrefix": ""}, "maskOnly": mask_only},
            "usualAnswers": parts.usual_answers,
            "segState": "before",
            "phrasePattern": parts.phrase_pattern,
            "kv": {"layers": kv[0] // 2, "heads": kv[2], "headDim": kv[4]},
            "hiddenSize": graphs["seg_head"]["inputs"][0]["shape"][1],
            "promptSize": graphs["seg_head"]["outputs"][0]["shape"][1],
            "limits": {camel(name): value for name, value in asdict(parts.limits).items()},
        },
        "decoder": {
            "graph": "decoder",
            "image": "main",
            "scoreCalibrated": parts.score_calibrated,
            "maxSegmentsPerRun": parts.max_segments_per_run,
        },
    }


def describe_graph(path: Path) -> dict[str, Any]:
    """File, hash, external files and borders of a graph."""
    model = onnx.load(path, load_external_data=False)
    external = {entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"}
    return {
        **describe_file(path),
        "externalData": [describe_file(path.parent / name) for name in sorted(external)],
        "inputs": [_describe_value(value) for value in model.graph.input],
        "outputs": [_describe_value(value) for value in model.graph.output],
    }


def describe_file(path: Path, root: Path | None = None) -> dict[str, Any]:
    """Path relative to `root` (default: the file's folder), SHA-256 and size in bytes."""
    name = path.relative_to(root or path.parent).as_posix()
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    return {"file": name, "sha256": sha256, "bytes": path.stat().st_size}


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _describe_value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise ValueError(f"{value.name}: {onnx.TensorProto.DataType.Name(tensor.elem_type)} may not cross a graph's border")
    shape = [size.dim_param or size.dim_value for size in tensor.shape.dim]
    return {"name": value.name, "dtype": _DTYPES[tensor.elem_type], "shape": shape}
