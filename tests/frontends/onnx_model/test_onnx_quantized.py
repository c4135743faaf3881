"""Quantized weights stand for real numbers: (q - zero_point) * scale."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Models
from onnx import TensorProto, helper

from initadvisor.graph import Graph, Parameter

N = helper.make_node
RNG = np.random.default_rng(0)


def _elements(parameter: Parameter) -> np.ndarray:
    assert parameter.source is not None
    return np.concatenate([chunk.astype(np.float64) for chunk in parameter.source.chunks(11)]).reshape(parameter.shape)


def _only(graph: Graph) -> Parameter:
    (parameter,) = [p for p in graph.parameters.values() if p.is_float]
    return parameter


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_dequantized_weight(models: Models, axis: int | None) -> None:
    codes = RNG.integers(-128, 127, (6, 5)).astype(np.int8)
    size = () if axis is None else (codes.shape[axis],)
    scale, zero = RNG.random(size, dtype=np.float32), RNG.integers(-5, 5, size).astype(np.int8)
    attrs = {} if axis is None else {"axis": axis}
    nodes = [N("DequantizeLinear", ["q", "s", "z"], ["w"], **attrs), N("MatMul", ["x", "w"], ["y"])]
    graph = models.load(nodes, {"q": codes, "s": np.asarray(scale), "z": np.asarray(zero)}, inputs={"x": (1, 6)})
    shape = [1, 1]
    if axis is not None:
        shape[axis] = -1
    expected = (codes.astype(np.float64) - zero.reshape(shape)) * scale.reshape(shape).astype(np.float64)
    np.testing.assert_allclose(_elements(_only(graph)), expected, rtol=1e-6)
    assert [node.op for node in graph.nodes] == ["matmul"]
    assert set(graph.parameters) == {"q"}
    assert graph.parameters["q"].dtype == "float32"


def test_blocked_dequantized_weight(models: Models) -> None:
    codes = RNG.integers(0, 15, (8, 6)).astype(np.float32)
    tensor = helper.make_tensor("q", TensorProto.UINT4, codes.shape, codes.reshape(-1))
    scale = RNG.random((4, 6), dtype=np.float32)
    model = models.proto(
        [N("DequantizeLinear", ["q", "s"], ["w"], axis=0, block_size=2), N("MatMul", ["x", "w"], ["y"])],
        {"s": scale},
        inputs={"x": (1, 8)},
        opset=21,
    )
    model.graph.initializer.append(tensor)
    from initadvisor.frontends.onnx_model import load

    found = _elements(_only(load(models.save(model))))
    np.testing.assert_allclose(found, codes * np.repeat(scale, 2, axis=0), rtol=1e-6)


def test_a_weight_that_is_quantized_and_back_is_itself(models: Models) -> None:
    weight = RNG.random((4, 5), dtype=np.float32)
    nodes = [
        N("QuantizeLinear", ["w", "s"], ["q"]),
        N("DequantizeLinear", ["q", "s"], ["d"]),
        N("MatMul", ["x", "d"], ["y"]),
    ]
    graph = models.load(nodes, {"w": weight, "s": np.array(0.1, np.float32)})
    assert [node.op for node in graph.nodes] == ["matmul"]
    np.testing.assert_array_equal(_elements(graph.parameters["w"]), weight)


def test_activations_pass_their_quantization(models: Models) -> None:
    nodes = [
        N("QuantizeLinear", ["x", "s", "z"], ["q"]),
        N("DequantizeLinear", ["q", "s", "z"], ["d"]),
        N("Relu", ["d"], ["y"]),
    ]
    graph = models.load(nodes, {"s": np.array(0.1, np.float32), "z": np.array(3, np.uint8)})
    assert [node.op for node in graph.nodes] == ["quantize", "dequantize", "relu"]
    assert not graph.parameters


def test_quantized_convolution(models: Models) -> None:
    codes = RNG.integers(-128, 127, (4, 3, 2, 2)).astype(np.int8)
    scale = RNG.random(4, dtype=np.float32)
    bias = RNG.integers(-100, 100, 4).astype(np.int32)
    weights = {
        "xs": np.array(0.5, np.float32),
        "xz": np.array(0, np.uint8),
        "w": codes,
        "ws": scale,
        "wz": np.zeros(4, np.int8),
        "ys": np.array(1, np.float32),
        "yz": np.array(0, np.uint8),
        "b": bias,
    }
    nodes = [
        N("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        N("QLinearConv", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["p"], strides=[2, 2]),
        N("DequantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    graph = models.load(nodes, weights, inputs={"x": (1, 3, 8, 8)})
    (node,) = [node for node in graph.nodes if node.op == "conv"]
    assert node.attrs["stride"] == (2, 2)
    np.testing.assert_allclose(
        _elements(graph.parameters["w"]), codes * scale.reshape(4, 1, 1, 1).astype(np.float64), rtol=1e-6
    )
    np.testing.assert_allclose(_elements(graph.parameters["b"]), bias * 0.5 * scale.astype(np.float64), rtol=1e-6)


@pytest.mark.parametrize("matrix", [True, False], ids=["matmul", "conv"])
def test_dynamically_quantized_product_finds_its_scale(models: Models, matrix: bool) -> None:
    shape = (4, 5) if matrix else (5, 4, 1, 1)
    codes = RNG.integers(-128, 127, shape).astype(np.int8)
    kind = "MatMulInteger" if matrix else "ConvInteger"
    nodes = [
        N("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]),
        N(kind, ["q", "w", "xz", "wz"], ["p"]),
        N("Cast", ["p"], ["c"], to=TensorProto.FLOAT),
        N("Mul", ["xs", "ws"], ["scales"]),
        N("Mul", ["c", "scales"], ["r"]),
        N("Relu", ["r"], ["y"]),
    ]
    weights = {"w": codes, "wz": np.array(2, np.int8), "ws": np.array(0.05, np.float32)}
    graph = models.load(nodes, weights, inputs={"x": (2, 4) if matrix else (1, 4, 3, 3)})
    assert [node.op for node in graph.nodes] == ["dynamic_quantize", "matmul" if matrix else "conv", "relu"]
    np.testing.assert_allclose(_elements(_only(graph)), (codes.astype(np.float64) - 2) * np.float32(0.05), rtol=1e-6)


def test_a_product_whose_scale_is_not_found_is_said_to_be_unread(models: Models) -> None:
    nodes = [
        N("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]),
        N("MatMulInteger", ["q", "w", "xz"], ["p"]),
        N("Cast", ["p"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = models.load(nodes, {"w": RNG.integers(-128, 127, (4, 5)).astype(np.int8)}, inputs={"x": (2, 4)})
    assert graph.coverage.notes == ["1 quantized weights were not read: their scale was not found"]
    assert not graph.parameters["w"].is_float


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zero_points", [True, False])
def test_blockwise_product(models: Models, bits: int, zero_points: bool) -> None:
    rows, width, block = 6, 32, 16
    codes = RNG.integers(0, 1 << bits, (rows, width)).astype(np.uint8)
    scale = RNG.random((rows, width // block), dtype=np.float32)
    zero = RNG.integers(0, 1 << bits, (rows, width // block)).astype(np.uint8)
    packed, packed_zero = codes, zero
    if bits == 4:
        packed, packed_zero = codes[:, ::2] | codes[:, 1::2] << 4, zero[:, ::2] | zero[:, 1::2] << 4
    weights = {"q": packed.reshape(rows, width // block, -1), "s": scale.reshape(-1)}
    if zero_points:
        weights["z"] = packed_zero.reshape(-1)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    inputs = ["x", "q", "s", *(["z"] if zero_points else [])]
    node = N("MatMulNBits", inputs, ["y"], domain="com.microsoft", K=width, N=rows, bits=bits, block_size=block)
    graph = models.load([node], weights, inputs={"x": (1, width)}, opset_imports=opsets)
    assert graph.nodes[0].op == "linear"
    centre = np.repeat(zero, block, axis=1) if zero_points else 1 << (bits - 1)
    expected = (codes.astype(np.float64) - centre) * np.repeat(scale, block, axis=1)
    np.testing.assert_allclose(_elements(_only(graph)), expected, rtol=1e-6)


def test_scale_of_another_shape_is_an_error(models: Models) -> None:
    from initadvisor.errors import FormatError

    nodes = [N("DequantizeLinear", ["q", "s"], ["w"], axis=0), N("MatMul", ["x", "w"], ["y"])]
    with pytest.raises(FormatError, match="scale"):
        models.load(nodes, {"q": np.zeros((4, 4), np.int8), "s": np.ones(3, np.float32)})


def test_fused_operators_of_onnxruntime_are_taken_apart(models: Models) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    conv = np.random.default_rng(0).random((4, 4, 3, 3), np.float32)
    nodes = [
        N("FusedConv", ["x", "w", "b", "x"], ["c"], domain="com.microsoft", pads=[1, 1, 1, 1], activation="Relu"),
        N("BiasGelu", ["c", "g"], ["e"], domain="com.microsoft"),
        N("FusedMatMul", ["e", "v"], ["y"], domain="com.microsoft", transB=1, alpha=0.5),
    ]
    weights = {
        "w": conv,
        "b": np.zeros(4, np.float32),
        "g": np.linspace(0, 1, 8, dtype=np.float32),
        "v": np.random.default_rng(1).random((5, 8), np.float32),
    }
    graph = models.load(nodes, weights, inputs={"x": (1, 4, 8, 8)}, opset_imports=opsets)
    assert [n.op for n in graph.nodes] == ["conv", "add", "relu", "add", "gelu", "permute", "matmul", "mul"]
    assert not graph.coverage.opaque
    assert set(graph.parameters) == {"w", "b", "g", "v"}
