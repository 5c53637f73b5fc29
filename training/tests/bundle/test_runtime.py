"""The sessions that a bundle's graphs run in."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segue_training.bundle.runtime import OnnxStages


@pytest.mark.parametrize("rows", [1, 8])
def test_large_products_of_8_bits_are_exact_on_every_processor(tmp_path, rows):
    """A processor without VNNI adds two such products in 16 bits, which cannot hold them."""
    weight = numpy_helper.from_array(np.full((64, 16), 127, np.int8), "weight")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weight"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["rows", 64])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, ["rows", 16])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "product.onnx")
    (tmp_path / "manifest.json").write_text(json.dumps({"graphs": {"product": {"file": "product.onnx"}}}))
    result = OnnxStages(tmp_path).run("product", {"x": np.full((rows, 64), 255, np.uint8)})
    assert (result["y"] == 255 * 127 * 64).all()
