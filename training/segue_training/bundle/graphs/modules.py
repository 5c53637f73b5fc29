"""The vision side of a bundle as ONNX graphs: encoder, seg head and decoder, traced from their PyTorch modules."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript import opset20
from torch import Tensor, nn
from torch.export import Dim

from .graph import IR_VERSION, WeightFiles

_OPSET = 20
_SMALL_BYTES = 1024  # weights up to here stay in the graph even if there are files for them


def export_encoder(
    encoder: nn.Module,
    frame: int,
    path: Path,
    names: list[str] | None = None,
    weights: WeightFiles | None = None,
    dtype: type[np.generic] = np.float32,
) -> dict[str, Tensor]:
    """Write a graph from pixels of a frame, of a type, to the encoder's outputs.

    names: of the outputs; without them the encoder is run once to learn them. weights: files for a large encoder's
    weights; a graph of its own holds no more than 2 GB.
    Returns tensors of the outputs' shapes and types.
    """
    pixels = torch.from_numpy(np.full((1, 3, frame, frame), 0.5, dtype))
    if names is None:
        with torch.inference_mode():
            names = list(encoder(pixels))
    _export(_Outputs(encoder, names), (pixels,), path, ["pixels"], names, weights=weights)
    outputs = {value.name: value.type.tensor_type for value in onnx.load(path, load_external_data=False).graph.output}
    return {
        name: torch.from_numpy(
            np.zeros([size.dim_value for size in kind.shape.dim], helper.tensor_dtype_to_np_dtype(kind.elem_type))
        )
        for name, kind in outputs.items()
    }


def export_seg_head(seg_head: nn.Module, hidden: int, path: Path) -> int:
    """Write the graph from `<SEG>` states to prompts; returns the prompts' size."""
    states = torch.zeros(2, hidden)
    _export(seg_head, (states,), path, ["hidden"], ["seg_embeddings"], "hidden")
    with torch.inference_mode():
        prompts: Tensor = seg_head(states)
    return prompts.shape[1]


def export_decoder(
    decoder: nn.Module, encoded: dict[str, Tensor], prompt: int, frame: int, path: Path, finite: Collection[str] = ()
) -> None:
    """Write the graph from the encoder's tensors and prompts of a size to masks at the picture's own size.

    finite: inputs that cannot hold anything else than numbers; the others are looked through.
    """
    names = [name for name in encoded if name != "visual_tokens"]
    inputs = (*(encoded[name] for name in names), torch.randn(2, prompt), torch.tensor([frame, frame // 2]))
    _export(
        _Decoder(decoder, names),
        inputs,
        path,
        [*names, "seg_embeddings", "resized_size"],
        ["frame_logits", "scores"],
        "seg_embeddings",
    )
    model = onnx.load(path)
    _append_masks(model.graph, finite)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


class _Outputs(nn.Module):
    """An encoder whose dictionary becomes a tuple in a fixed order."""

    def __init__(self, encoder: nn.Module, names: list[str]):
        super().__init__()
        self.encoder, self.names = encoder, names

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        outputs = self.encoder(pixels)
        return tuple(outputs[name] for name in self.names)


class _Decoder(nn.Module):
    """A decoder that takes the encoder's tensors as arguments instead of a dictionary."""

    def __init__(self, decoder: nn.Module, names: list[str]):
        super().__init__()
        self.decoder, self.names = decoder, names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        count = len(self.names)
        tensors = dict(zip(self.names, inputs[:count], strict=True))
        return self.decoder(tensors, inputs[count], inputs[count + 1])


def _export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    segments: str | None = None,
    weights: WeightFiles | None = None,
) -> None:
    """Trace a module. segments: the input whose first size is free; the example must not have 0 or 1 there."""
    sizes = tuple({0: Dim("segments")} if name == segments else None for name in names)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            inputs,
            input_names=names,
            output_names=outputs,
            opset_version=_OPSET,
            dynamo=True,
            custom_translation_table={torch.ops.aten.index_reduce.default: _index_reduce},
            dynamic_shapes=sizes if len(sizes) == 1 else (sizes,),
            verbose=False,
        )
    assert program is not None  # as dynamo=True promises
    if weights is not None:
        _move_weights(program.model.graph, weights, path.stem)
    model = program.model_proto
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, "segue", ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def _index_reduce(self: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool = True) -> Any:
    """The largest of slices, which PyTorch's exporter does not know."""
    if dim != 0 or reduce != "amax" or not include_self:
        raise NotImplementedError(f"index_reduce over dimension {dim} with {reduce}")
    last: Any = opset20.Constant(value_ints=[1])
    return opset20.ScatterND(self, opset20.Unsqueeze(index, last), source, reduction="max")


def _move_weights(graph: onnx_ir.Graph, weights: WeightFiles, group: str) -> None:
    """Write the graph's weights to the group's files, one after the other, and let the graph refer to them."""
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.name is None:
            raise ValueError("the traced graph has a weight without a value or a name")
        if tensor.nbytes <= _SMALL_BYTES:
            continue
        name = f"{group}/{value.name}"
        weights.add(group, name, tensor.numpy())
        place = {entry.key: entry.value for entry in weights.tensor(name).external_data}
        value.const_value = onnx_ir.ExternalTensor(
            place["location"],
            int(place["offset"]),
            int(place["length"]),
            tensor.dtype,
            shape=onnx_ir.Shape(tensor.shape.numpy()),
            name=value.name,
            base_dir=weights.folder,
        )


def _append_masks(graph: onnx.GraphProto, finite: Collection[str]) -> None:
    """frame_logits float32[n, frame, frame] -> masks uint8[n, H, W] of the original size, and peak_logit float32[n].

    The frame's logits are cut to the resized picture and brought to its original size in one bilinear step.
    """
    constants = {
        "post_zero": numpy_helper.from_array(_array([0, 0])),
        "post_axes": numpy_helper.from_array(_array([1, 2])),
        "post_one": numpy_helper.from_array(_array([1])),
        "post_threshold": _scalar(0.0),
    }
    for name, tensor in constants.items():
        tensor.name = name
        graph.initializer.append(tensor)
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Slice", ["frame_logits", "post_zero", "resized_size", "post_axes"], "post_inside", {}),
        ("Unsqueeze", ["post_inside", "post_one"], "post_channel", {}),
        ("Shape", ["post_channel"], "post_batch", {"start": 0, "end": 2}),
        ("Concat", ["post_batch", "original_size"], "post_sizes", {"axis": 0}),
        ("Resize", ["post_channel", "", "", "post_sizes"], "post_full", {"mode": "linear"}),
        ("Squeeze", ["post_full", "post_one"], "post_logits", {}),
        ("Greater", ["post_logits", "post_threshold"], "post_mask", {}),
        ("Cast", ["post_mask"], "masks", {"to": TensorProto.UINT8}),
        ("Abs", ["frame_logits"], "post_size", {}),
        ("ReduceMax", ["post_size", "post_axes"], "post_peak", {"keepdims": 0}),
    ]
    # Comparisons inside a decoder drop NaN, so broken inputs are looked for as well as broken logits: the sum of all
    # values times 0 is 0, or NaN if one of them is not finite.
    floats = [value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    floats = [name for name in floats if name not in finite]
    peak = "post_peak"
    for index, name in enumerate(["frame_logits", *floats]):
        last = index == len(floats)
        axes = {"frame_logits": ["post_axes"], "seg_embeddings": ["post_one"]}.get(name, [])  # others: over all
        nodes += [
            ("Mul", [name, "post_threshold"], f"post_nothing_{index}", {}),
            ("ReduceSum", [f"post_nothing_{index}", *axes], f"post_broken_{index}", {"keepdims": 0}),
            ("Add", [peak, f"post_broken_{index}"], "peak_logit" if last else f"post_peak_{index}", {}),
        ]
        peak = f"post_peak_{index}"
    for kind, inputs, output, attributes in nodes:
        graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
    graph.input.append(helper.make_tensor_value_info("original_size", TensorProto.INT64, [2]))
    scores = next(value for value in graph.output if value.name == "scores")
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("masks", TensorProto.UINT8, ["segments", "height", "width"]),
            helper.make_tensor_value_info(scores.name, TensorProto.FLOAT, ["segments"]),
            helper.make_tensor_value_info("peak_logit", TensorProto.FLOAT, ["segments"]),
        ]
    )


def _array(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def _scalar(value: float) -> TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32))
