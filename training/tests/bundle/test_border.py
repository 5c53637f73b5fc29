import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from segue_training.bundle.graphs.border import Levels, carry_as_levels


def _double(path, source, target):
    """A graph that doubles: float32[n] -> float32[n]"""
    shape = ["n"]
    graph = helper.make_graph(
        [helper.make_node("Add", [source, source], [target])],
        "double",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def test_what_crosses_the_border_is_half_as_long_and_nearly_the_same(tmp_path):
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    _double(encoder, "pixels", "b2")
    _double(decoder, "b2", "masks")
    carry_as_levels(encoder, decoder, {"b2": Levels(1 / 128, 32768)})
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (encoder, decoder)]
    values = np.array([0.0, 1.0, -3.14159, 100.001, 1000.0, -1000.0], np.float32)
    (levels,) = sessions[0].run(["b2"], {"pixels": values})
    assert levels.dtype == np.uint16
    (back,) = sessions[1].run(["masks"], {"b2": levels})
    assert back[:4] == pytest.approx(4 * values[:4], abs=2 / 128)
    assert back[4:] == pytest.approx([512, -512], abs=0.05)  # clipped at the ends
