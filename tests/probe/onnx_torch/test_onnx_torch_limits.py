"""A hostile graph is stopped before it allocates or loops without end."""

import time

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from initadvisor.errors import LimitError
from initadvisor.probe.onnx_torch import RunLimits, to_module

HUGE = 1 << 40
SMALL = np.ones((1, 1, 2, 2), np.float32)
CASES = {
    "Expand": ("Expand", {}, [SMALL, np.array([HUGE, 1, 2, 2])]),
    "Tile": ("Tile", {}, [SMALL, np.array([HUGE, 1, 1, 1])]),
    "ConstantOfShape": ("ConstantOfShape", {}, [np.array([HUGE, HUGE])]),
    "Range": ("Range", {}, [np.array(0), np.array(HUGE), np.array(1)]),
    "Resize": ("Resize", {}, [SMALL, None, np.array([1, 1, 2e6, 2e6], np.float32)]),
    "Resize sizes": ("Resize", {"mode": "cubic"}, [SMALL, None, None, np.array([1, 1, HUGE, 2])]),
    "Pad": ("Pad", {}, [SMALL, np.array([HUGE, 0, 0, 0, 0, 0, 0, 0])]),
    "OneHot": ("OneHot", {}, [np.array([1, 2]), np.array(HUGE), np.array([0.0, 1.0], np.float32)]),
    "Conv": ("Conv", {"pads": [HUGE // 2] * 4}, [SMALL, np.ones((1, 1, 2, 2), np.float32)]),
    "MaxPool": ("MaxPool", {"kernel_shape": [2, 2], "pads": [1 << 30] * 4}, [SMALL]),
    "ConvTranspose": ("ConvTranspose", {"strides": [1 << 30, 1 << 30]}, [SMALL, np.ones((1, 1, 2, 2), np.float32)]),
    "CenterCropPad": ("CenterCropPad", {}, [SMALL, np.array([1, 1, HUGE, 2])]),
    "outer sum": ("Add", {}, [np.ones((1 << 16, 1), np.float32), np.ones((1, 1 << 16), np.float32)]),
    "outer product": ("MatMul", {}, [np.ones((1 << 16, 1), np.float32), np.ones((1, 1 << 16), np.float32)]),
    "RandomNormal": ("RandomNormal", {"shape": [HUGE, HUGE]}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_an_enormous_result_is_refused_before_it_is_made(write, case):
    kind, attributes, operands = CASES[case]
    names = ["" if operand is None else f"x{at}" for at, operand in enumerate(operands)]
    given = {name: np.asarray(operand) for name, operand in zip(names, operands, strict=True) if name}
    node = helper.make_node(kind, names, ["y"], "greedy", **attributes)
    path = write([node], {n: (a.dtype.name, a.shape) for n, a in given.items()}, {"y": "float32"}, opset=18)
    module = to_module(path)
    started = time.monotonic()
    with pytest.raises(LimitError, match="node 'greedy'"):
        module(**{name: torch.from_numpy(array) for name, array in given.items()})
    assert time.monotonic() - started < 5


def _endless(write):
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("at", TensorProto.INT64, ()),
            helper.make_tensor_value_info("going", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, (1,)),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, (1,)),
        ],
    )
    return write(
        [helper.make_node("Loop", ["", "condition", "x"], ["y"], "endless", body=body)],
        {"condition": ("bool", ()), "x": ("float32", (1,))},
        {"y": "float32"},
    )


def test_a_loop_without_end_is_stopped(write):
    module = to_module(_endless(write), limits=RunLimits(trips=50))
    with pytest.raises(LimitError, match="more than 50 times"):
        module(torch.tensor(True), torch.ones(1))
    assert module(torch.tensor(False), torch.ones(1)).tolist() == [1.0]


def test_limits_can_be_raised(write):
    path = write(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        {"x": ("float32", (1,))},
        {"y": "float32"},
        {"shape": np.array([100])},
    )
    with pytest.raises(LimitError, match="400 bytes"):
        to_module(path, limits=RunLimits(tensor_bytes=399))(torch.ones(1))
    assert to_module(path, limits=RunLimits(tensor_bytes=400))(torch.ones(1)).shape == (100,)
