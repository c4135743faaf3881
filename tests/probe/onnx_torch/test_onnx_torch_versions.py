"""What an operator means in older operator sets, against onnxruntime."""

import numpy as np
import pytest
import torch
from onnx import helper

from initadvisor.probe.onnx_torch import to_module

RNG = np.random.default_rng(3)


def _draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X = _draw(2, 4, 6, 5)
CASES = [
    ("Softmax", 11, {"axis": 1}, [_draw(2, 3, 4)]),
    ("Softmax", 11, {}, [_draw(2, 3, 4)]),
    ("Softmax", 13, {}, [_draw(2, 3, 4)]),
    ("LogSoftmax", 12, {"axis": 2}, [_draw(2, 3, 4)]),
    ("Hardmax", 11, {"axis": 1}, [_draw(2, 3, 4)]),
    ("Clip", 6, {"min": -0.5, "max": 0.5}, [X]),
    ("Clip", 6, {}, [X]),
    ("Clip", 13, {}, [X, np.float32(-0.1), np.float32(0.3)]),
    ("Dropout", 7, {"ratio": 0.3}, [X]),
    ("Dropout", 13, {}, [X, np.float32(0.4)]),
    ("BatchNormalization", 9, {"epsilon": 1e-3}, [X, _draw(4), _draw(4), _draw(4), np.abs(_draw(4)) + 0.1]),
    ("BatchNormalization", 7, {}, [X, _draw(4), _draw(4), _draw(4), np.abs(_draw(4)) + 0.1]),
    ("Reshape", 13, {}, [X, np.array([0, -1, 5])]),
    ("Unsqueeze", 11, {"axes": [0, -1]}, [_draw(2, 3)]),
    ("Unsqueeze", 13, {}, [_draw(2, 3), np.array([-1, 1])]),
    ("Squeeze", 11, {"axes": [1]}, [_draw(2, 1, 3)]),
    ("Split", 11, {"axis": 1, "split": [1, 3]}, [X]),
    ("Slice", 9, {"starts": [1, -4], "ends": [100, -1], "axes": [1, 2]}, [X]),
    ("Slice", 13, {}, [X, np.array([-1]), np.array([-100]), np.array([2]), np.array([-2])]),
    ("Pad", 10, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 2.0}, [X]),
    ("Pad", 18, {"mode": "reflect"}, [X, np.array([2, 3]), None, np.array([3])]),
    ("Pad", 18, {"mode": "edge"}, [X, np.array([0, 0, 2, 1, 0, 0, -1, 3])]),
    ("ReduceSum", 11, {"axes": [1, -1], "keepdims": 0}, [X]),
    ("ReduceSum", 13, {"noop_with_empty_axes": 1}, [X]),
    ("ReduceMean", 13, {"axes": [2]}, [X]),
    ("ReduceMean", 18, {}, [X, np.array([0, 3])]),
    ("ReduceLogSumExp", 18, {"keepdims": 0}, [X, np.array([1])]),
    ("TopK", 11, {"axis": 1, "largest": 0}, [X, np.array([2])]),
    ("Upsample", 9, {"mode": "nearest"}, [X, np.array([1, 1, 2, 3], np.float32)]),
    ("Upsample", 9, {"mode": "linear"}, [X, np.array([1, 1, 2, 3], np.float32)]),
    ("Resize", 10, {"mode": "linear"}, [X, np.array([1, 1, 2, 1.5], np.float32)]),
    ("Resize", 13, {"mode": "linear"}, [X, None, np.array([1, 1, 2, 3], np.float32)]),
    (
        "Resize",
        13,
        {"mode": "cubic", "coordinate_transformation_mode": "align_corners"},
        [X, None, None, np.array([2, 4, 9, 7])],
    ),
    (
        "Resize",
        13,
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        [X, None, None, np.array([2, 4, 12, 10])],
    ),
    ("MaxPool", 12, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [X]),
    ("MaxPool", 12, {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 2]}, [X]),
    ("MaxPool", 12, {"kernel_shape": [3, 2], "pads": [0, 1, 2, 0], "dilations": [2, 1]}, [X]),
    ("AveragePool", 11, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}, [X]),
    ("AveragePool", 11, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 2, 1]}, [X]),
    ("AveragePool", 11, {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER", "strides": [2, 2]}, [X]),
    ("LRN", 13, {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0}, [_draw(2, 7, 3, 3)]),
    ("Conv", 11, {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [X, _draw(3, 4, 3, 2), _draw(3)]),
    ("Conv", 11, {"pads": [0, 1, 2, 0], "dilations": [1, 2], "group": 2}, [X, _draw(6, 2, 3, 2)]),
    ("ConvTranspose", 11, {"strides": [2, 3], "pads": [1, 0, 0, 2], "output_padding": [1, 0]}, [X, _draw(4, 3, 3, 3)]),
    ("ConvTranspose", 11, {"strides": [2, 2], "output_shape": [12, 10]}, [X, _draw(4, 3, 3, 3), _draw(3)]),
    ("Gemm", 9, {"alpha": 0.5, "beta": 2.0, "transA": 1}, [_draw(3, 2), _draw(3, 4), _draw(4)]),
    ("Gemm", 11, {"transB": 1}, [_draw(2, 3), _draw(4, 3)]),
    ("InstanceNormalization", 6, {}, [X, _draw(4), _draw(4)]),
    ("PRelu", 9, {}, [X, _draw(4, 1, 1)]),
    ("DepthToSpace", 11, {"blocksize": 2, "mode": "CRD"}, [X]),
    ("Mod", 13, {"fmod": 1}, [X, _draw(2, 4, 6, 5)]),
    ("Gather", 13, {"axis": 1}, [X, np.array([[0, -1], [2, 3]])]),
    ("Einsum", 12, {"equation": "bchw, bcij -> bhi"}, [X, _draw(2, 4, 3, 2)]),
    ("Trilu", 14, {"upper": 0}, [X, np.array(-1)]),
    ("GroupNormalization", 21, {"num_groups": 2}, [X, _draw(4), _draw(4)]),
    ("LayerNormalization", 17, {"axis": 2}, [X, _draw(6, 5), _draw(6, 5)]),
]


@pytest.mark.parametrize(
    ("kind", "opset", "attributes", "operands"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_operator_agrees_with_onnxruntime(write, reference, kind, opset, attributes, operands):
    names = ["" if operand is None else f"x{at}" for at, operand in enumerate(operands)]
    given = {name: np.asarray(operand) for name, operand in zip(names, operands, strict=True) if name}
    node = helper.make_node(kind, names, ["y", "z"] if kind in ("Split", "TopK") else ["y"], **attributes)
    outputs = {"y": "float32"} | ({"z": "float32" if kind == "Split" else "int64"} if len(node.output) > 1 else {})
    path = write([node], {n: (a.dtype.name, a.shape) for n, a in given.items()}, outputs, opset=opset)
    expected = reference(path, given)
    found = to_module(path)(**{name: torch.from_numpy(array) for name, array in given.items()})
    found = found if isinstance(found, tuple) else (found,)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-3, atol=1e-5)
