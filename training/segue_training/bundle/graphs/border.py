"""What crosses from the encoder's graph to the decoder's in fewer bytes than the graphs compute with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_DOMAIN = "com.microsoft"
"""ONNX's own QuantizeLinear takes 16 bits from opset 21 on only."""


@dataclass(frozen=True)
class Levels:
    """Equal steps, as QuantizeLinear takes them: a value v travels as round(v / step) + zero, clipped to 0..65535."""

    step: float
    zero: int


def carry_as_levels(encoder: Path, decoder: Path, tensors: Mapping[str, Levels]) -> None:
    """Let tensors leave the encoder's graph as uint16 and be read as such by the decoder's, which computes as before.

    Half the bytes of float32. Not float16, which ONNX Runtime for Node reads wrongly on recent versions of Node.
    """
    if not tensors:
        return
    giving, taking = onnx.load(encoder), onnx.load(decoder)
    for name, levels in tensors.items():
        _give(giving.graph, name, levels)
        _take(taking.graph, name, levels)
    for model, path in ((giving, encoder), (taking, decoder)):
        if all(opset.domain != _DOMAIN for opset in model.opset_import):
            model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def _give(graph: onnx.GraphProto, name: str, levels: Levels) -> None:
    exact = _rename(graph, name)
    scale = _constants(graph, name, levels)
    graph.node.append(helper.make_node("QuantizeLinear", [exact, *scale], [name], f"{name}/to_levels", domain=_DOMAIN))
    _uint16(next(value for value in graph.output if value.name == name))


def _take(graph: onnx.GraphProto, name: str, levels: Levels) -> None:
    exact = _rename(graph, name)
    scale = _constants(graph, name, levels)
    graph.node.insert(0, helper.make_node("DequantizeLinear", [name, *scale], [exact], f"{name}/from_levels", domain=_DOMAIN))
    _uint16(next(value for value in graph.input if value.name == name))


def _rename(graph: onnx.GraphProto, name: str) -> str:
    """Give the value another name inside the graph; its name stays at the border."""
    inside = f"{name}/float32"
    for node in graph.node:
        for values in (node.input, node.output):
            for at, value in enumerate(values):
                if value == name:
                    values[at] = inside
    return inside


def _constants(graph: onnx.GraphProto, name: str, levels: Levels) -> list[str]:
    step = numpy_helper.from_array(np.array(levels.step, np.float32), f"{name}/step")
    zero = numpy_helper.from_array(np.array(levels.zero, np.uint16), f"{name}/zero")
    graph.initializer.extend([step, zero])
    return [step.name, zero.name]


def _uint16(value: onnx.ValueInfoProto) -> None:
    value.type.tensor_type.elem_type = TensorProto.UINT16
