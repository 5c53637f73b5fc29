"""Building ONNX graphs by hand: nodes by call, weights in external files that several graphs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import TensorProto, helper, numpy_helper

from segue_training.bundle.quantize import pack_nibbles

Value = tuple[str, DTypeLike, Sequence[int | str | None]]
"""An input or output: name, type, shape; a size that is free has a name, or None."""

OPSET = 23
IR_VERSION = 11
CONTRIB = "com.microsoft"
_ALIGN = 64


class WeightFiles:
    """Weights laid out one after the other in files, each file below a limit; graphs refer to them by name."""

    def __init__(self, folder: Path, file_limit: int = 45_000_000):
        self.folder, self.file_limit = folder, file_limit
        self.files: list[str] = []
        self._sizes: dict[str, int] = {}
        self._current: dict[str, str] = {}
        self._placed: dict[str, TensorProto] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._placed

    def add(self, group: str, name: str, value: np.ndarray, nibbles: bool = False) -> None:
        """Append an array to the group's current file; `nibbles` stores uint8 values 0..15 as UINT4."""
        data = pack_nibbles(value) if nibbles else np.ascontiguousarray(value).tobytes()
        file = self._file_for(group, len(data))
        offset = self._sizes[file]
        with (self.folder / file).open("ab") as handle:
            handle.write(data + b"\0" * (-len(data) % _ALIGN))
        self._sizes[file] += len(data) + (-len(data) % _ALIGN)
        tensor = TensorProto(name=name, dims=value.shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = TensorProto.UINT4 if nibbles else helper.np_dtype_to_tensor_dtype(value.dtype)
        for key, entry in (("location", file), ("offset", offset), ("length", len(data))):
            tensor.external_data.add(key=key, value=str(entry))
        self._placed[name] = tensor

    def tensor(self, name: str) -> TensorProto:
        return self._placed[name]

    def _file_for(self, group: str, length: int) -> str:
        file = self._current.get(group)
        if file is None or self._sizes[file] + length > self.file_limit:
            file = f"{group}-{sum(name.startswith(group) for name in self.files)}.bin"
            (self.folder / file).write_bytes(b"")
            self._current[group], self._sizes[file] = file, 0
            self.files.append(file)
        return file


class Graph:
    """A graph under construction."""

    def __init__(self, weights: WeightFiles):
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._count = 0
        self._initializers: dict[str, TensorProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns its name."""
        return self._add(kind, inputs, [self._fresh(kind)], domain, attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; returns their names."""
        return self._add(kind, inputs, [self._fresh(kind) for _ in range(outputs)], "", attributes)

    def output(self, name: str, value: str) -> None:
        """Give a value the name of one of the graph's outputs."""
        self._add("Identity", (value,), [name], "", {})

    def _add(self, kind: str, inputs: tuple[str, ...], outputs: list[str], domain: str, attributes: dict[str, Any]) -> list[str]:
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs

    def constant(self, value: ArrayLike, dtype: DTypeLike = np.int64) -> str:
        """A small constant, stored once however often it is asked for."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = self._fresh("constant")
            self._initializers[name] = numpy_helper.from_array(array, name)
        return self._constants[key]

    def weight(self, name: str) -> str:
        """An external weight placed before with `WeightFiles.add`."""
        self._initializers[name] = self._weights.tensor(name)
        return name

    def save(self, path: Path, inputs: list[Value], outputs: list[Value]) -> None:
        """Write the model file; external weights are referred to relative to it."""
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        weights = list(self._initializers.values())
        graph = helper.make_graph(self._nodes, path.stem, _infos(inputs), _infos(outputs), weights)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="segue")
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def _infos(values: list[Value]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
        for name, dtype, shape in values
    ]
