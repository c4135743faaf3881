"""Quantized graphs: the same numbers as onnxruntime, and a gradient that passes rounding and stops at clipping."""

import numpy as np
import pytest
import torch
from onnx import helper

from initadvisor.probe.onnx_torch import to_module

RNG = np.random.default_rng(1)


def _draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def _pair(name, scale="scale", zero="zero"):
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_codes"]),
        helper.make_node("DequantizeLinear", [f"{name}_codes", scale, zero], [f"{name}_real"]),
    ]


def test_the_gradient_is_one_inside_the_range_and_zero_outside(write, reference):
    path = write(
        _pair("x"),
        {"x": ("float32", (7,))},
        {"x_real": "float32"},
        {"scale": np.float32(0.5), "zero": np.array(10, np.uint8)},
    )
    x = np.array([-6.0, -5.0, -0.3, 0.0, 0.26, 122.5, 130.0], np.float32)
    given = torch.from_numpy(x).requires_grad_()
    found = to_module(path)(given)
    np.testing.assert_array_equal(found.detach(), reference(path, {"x": x})[0])
    found.sum().backward()
    assert given.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_codes_are_integers_where_the_graph_hands_them_out(write, reference):
    path = write(
        _pair("x"),
        {"x": ("float32", (5,))},
        {"x_codes": "uint8", "x_real": "float32"},
        {"scale": np.float32(0.1), "zero": np.array(128, np.uint8)},
    )
    x = _draw(5)
    codes, real = to_module(path)(torch.from_numpy(x))
    expected = reference(path, {"x": x})
    assert codes.dtype == torch.uint8
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_allclose(real, expected[1], rtol=1e-6)


@pytest.mark.parametrize("channels", [False, True])
def test_a_quantized_layer_trains_its_weight(write, reference, channels):
    weight = RNG.integers(-127, 128, (4, 3)).astype(np.int8)
    scale = np.array([0.01, 0.02, 0.03], np.float32) if channels else np.float32(0.02)
    zeros = np.zeros(3, np.int8) if channels else np.array(0, np.int8)
    attributes = {"axis": 1} if channels else {}
    nodes = [
        *_pair("x"),
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero"], ["w"], **attributes),
        helper.make_node("MatMul", ["x_real", "w"], ["h"]),
        *_pair("h"),
    ]
    weights = {
        "w_quantized": weight,
        "w_scale": scale,
        "w_zero": zeros,
        "scale": np.float32(0.1),
        "zero": np.array(128, np.uint8),
    }
    path = write(nodes, {"x": ("float32", (2, 4))}, {"h_real": "float32"}, weights)
    x = np.clip(_draw(2, 4), -2, 2)
    module = to_module(path)
    found = module(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach(), reference(path, {"x": x})[0], rtol=1e-4, atol=1e-5)
    (parameter,) = module.parameters()
    np.testing.assert_allclose(parameter.detach(), weight * scale, rtol=1e-6)
    found.sum().backward()
    seen = np.round(x / 0.1) * 0.1
    assert (np.abs(seen @ (weight * scale)) < 12.7).all(), "nothing is clipped"
    np.testing.assert_allclose(parameter.grad, np.repeat(seen.sum(0)[:, None], 3, 1), rtol=1e-4, atol=1e-5)


def test_a_gradient_passes_what_rearranges_codes(write):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 1, 3, 2]),
        helper.make_node("DequantizeLinear", ["c", "scale", "zero"], ["y"]),
    ]
    path = write(
        nodes,
        {"x": ("float32", (1, 1, 4, 4))},
        {"y": "float32"},
        {"scale": np.float32(0.05), "zero": np.array(128, np.uint8)},
    )
    x = torch.arange(16.0).reshape(1, 1, 4, 4).div(10).requires_grad_()
    to_module(path)(x).sum().backward()
    assert x.grad.sum() == 9  # a window of two by two that moves by one


def test_a_gradient_passes_dynamic_quantization(write, reference):
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["a", "s", "z"]),
        helper.make_node("MatMulInteger", ["a", "w", "z"], ["b"]),
        helper.make_node("Cast", ["b"], ["c"], to=1),
        helper.make_node("Mul", ["c", "s"], ["y"]),
    ]
    weight = RNG.integers(-5, 6, (4, 3)).astype(np.int8)
    path = write(nodes, {"x": ("float32", (2, 4))}, {"y": "float32"}, {"w": weight})
    x = _draw(2, 4)
    given = torch.from_numpy(x).requires_grad_()
    found = to_module(path)(given)
    np.testing.assert_allclose(found.detach(), reference(path, {"x": x})[0], rtol=1e-4, atol=1e-5)
    found.sum().backward()
    np.testing.assert_allclose(given.grad, np.tile(weight.sum(1).astype(np.float32), (2, 1)), rtol=1e-4)


S, Z = ["scale", "zero"], ["out_scale", "out_zero"]
CONTRIB = {
    "QLinearAdd": (["x", *S, "x", *S, *Z], {}),
    "QLinearMul": (["x", *S, "x", *S, *Z], {}),
    "QLinearSigmoid": (["x", *S, *Z], {}),
    "QLinearLeakyRelu": (["x", *S, *Z], {"alpha": 0.2}),
    "QLinearSoftmax": (["x", *S, *Z], {"axis": 1, "opset": 13}),
    "QLinearGlobalAveragePool": (["x", *S, *Z], {}),
    "QLinearConcat": ([*Z, "x", *S, "x", *S], {"axis": 1}),
    "QGemm": (["m", *S, "w", "scale", "w_zero", "c", *Z], {"transB": 1}),
}


@pytest.mark.parametrize("kind", CONTRIB)
def test_quantized_operators_of_onnxruntime_differ_by_one_code_at_most(write, reference, kind):
    names, attributes = CONTRIB[kind]
    node = helper.make_node(kind, names, ["y"], domain="com.microsoft", **attributes)
    weights = {
        "scale": np.float32(0.05),
        "zero": np.array(128, np.uint8),
        "out_scale": np.float32(0.04),
        "out_zero": np.array(100, np.uint8),
        "w": RNG.integers(0, 255, (3, 5)).astype(np.uint8),
        "w_zero": np.array(120, np.uint8),
        "c": RNG.integers(-300, 300, 3).astype(np.int32),
        "m": RNG.integers(0, 255, (2, 5)).astype(np.uint8),
    }
    used = {name: array for name, array in weights.items() if name in names}
    path = write([node], {"x": ("uint8", (2, 3, 4, 5))}, {"y": "uint8"}, used, domains=("com.microsoft",))
    x = RNG.integers(0, 255, (2, 3, 4, 5)).astype(np.uint8)
    (expected,) = reference(path, {"x": x})
    found = to_module(path)(torch.from_numpy(x))
    assert found.dtype == torch.uint8
    assert np.ptp(expected) > 5
    assert np.abs(found.numpy().astype(int) - expected.astype(int)).max() <= 1
