"""Nodes get canonical names, slots and attributes in one form, whatever operator set version they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import TensorProto, helper

from initadvisor.graph import Graph

N = helper.make_node
Weights = dict[str, np.ndarray]


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _float(value: float) -> np.ndarray:
    return np.array(value, np.float32)


# (name, opset, node, extra inputs, input shape, canonical operator, attributes that it must have)
CASES: list[tuple[str, int, onnx.NodeProto, Weights, Sequence[int], str, dict[str, Any]]] = [
    ("squeeze attribute", 11, N("Squeeze", ["x"], ["y"], axes=[1]), {}, (2, 1, 3), "squeeze", {"dim": (1,)}),
    ("squeeze input", 13, N("Squeeze", ["x", "a"], ["y"]), {"a": _ints(1)}, (2, 1, 3), "squeeze", {"dim": (1,)}),
    ("unsqueeze attribute", 11, N("Unsqueeze", ["x"], ["y"], axes=[0, 2]), {}, (2, 3), "unsqueeze", {"dim": (0, 2)}),
    (
        "unsqueeze input",
        13,
        N("Unsqueeze", ["x", "a"], ["y"]),
        {"a": _ints(0, 2)},
        (2, 3),
        "unsqueeze",
        {"dim": (0, 2)},
    ),
    ("clip attribute", 6, N("Clip", ["x"], ["y"], min=0.0, max=6.0), {}, (2,), "clamp", {"min": 0.0, "max": 6.0}),
    (
        "clip input",
        11,
        N("Clip", ["x", "l", "h"], ["y"]),
        {"l": _float(0), "h": _float(6)},
        (2,),
        "clamp",
        {"min": 0.0, "max": 6.0},
    ),
    ("clip one side", 13, N("Clip", ["x", "", "h"], ["y"]), {"h": _float(0.1)}, (2,), "clamp", {"max": 0.1}),
    (
        "sum attribute",
        11,
        N("ReduceSum", ["x"], ["y"], axes=[1], keepdims=0),
        {},
        (2, 3),
        "sum",
        {"dim": (1,), "keepdim": False},
    ),
    (
        "sum input",
        13,
        N("ReduceSum", ["x", "a"], ["y"]),
        {"a": _ints(1)},
        (2, 3),
        "sum",
        {"dim": (1,), "keepdim": True},
    ),
    ("sum of all", 13, N("ReduceSum", ["x"], ["y"]), {}, (2, 3), "sum", {"dim": None}),
    (
        "mean attribute",
        13,
        N("ReduceMean", ["x"], ["y"], axes=[2, 3]),
        {},
        (2, 3, 4, 4),
        "mean",
        {"dim": (2, 3), "keepdim": True},
    ),
    ("mean input", 18, N("ReduceMean", ["x", "a"], ["y"]), {"a": _ints(2, 3)}, (2, 3, 4, 4), "mean", {"dim": (2, 3)}),
    (
        "dropout attribute",
        10,
        N("Dropout", ["x"], ["y"], ratio=0.3),
        {},
        (2,),
        "dropout",
        {"p": 0.3, "training": False},
    ),
    (
        "dropout input",
        13,
        N("Dropout", ["x", "r"], ["y"]),
        {"r": _float(0.3)},
        (2,),
        "dropout",
        {"p": 0.3, "training": False},
    ),
    (
        "dropout training",
        13,
        N("Dropout", ["x", "r", "t"], ["y"]),
        {"r": _float(0.3), "t": np.array(True)},
        (2,),
        "dropout",
        {"training": True},
    ),
    (
        "slice attribute",
        9,
        N("Slice", ["x"], ["y"], starts=[1], ends=[3], axes=[1]),
        {},
        (2, 5),
        "slice",
        {"start": (1,), "end": (3,), "dim": (1,), "step": (1,)},
    ),
    (
        "slice input",
        13,
        N("Slice", ["x", "s", "e"], ["y"]),
        {"s": _ints(0, 1), "e": _ints(2, 3)},
        (2, 5),
        "slice",
        {"dim": (0, 1), "step": (1, 1)},
    ),
    (
        "split attribute",
        11,
        N("Split", ["x"], ["y", "z"], axis=1, split=[2, 4]),
        {},
        (2, 6),
        "split",
        {"dim": 1, "split_size_or_sections": (2, 4)},
    ),
    (
        "split input",
        13,
        N("Split", ["x", "s"], ["y", "z"], axis=1),
        {"s": _ints(2, 4)},
        (2, 6),
        "split",
        {"split_size_or_sections": (2, 4)},
    ),
    (
        "split equally",
        13,
        N("Split", ["x"], ["y", "z"], axis=1),
        {},
        (2, 6),
        "split",
        {"split_size_or_sections": (3, 3)},
    ),
    (
        "split unevenly",
        18,
        N("Split", ["x"], ["y", "z"], axis=1, num_outputs=2),
        {},
        (2, 7),
        "split",
        {"split_size_or_sections": (4, 3)},
    ),
    ("softmax before 13", 11, N("Softmax", ["x"], ["y"]), {}, (2, 5), "softmax", {"dim": 1}),
    ("softmax over the rest", 11, N("Softmax", ["x"], ["y"], axis=1), {}, (2, 3, 4), "softmax", {"dim": (1, 2)}),
    ("softmax since 13", 13, N("Softmax", ["x"], ["y"]), {}, (2, 3, 5), "softmax", {"dim": -1}),
    ("transpose default", 13, N("Transpose", ["x"], ["y"]), {}, (2, 3, 4), "permute", {"dims": (2, 1, 0)}),
    (
        "reshape zero",
        13,
        N("Reshape", ["x", "s"], ["y"]),
        {"s": _ints(0, -1)},
        (2, 3, 4),
        "reshape",
        {"shape": (2, 12)},
    ),
    ("reshape attribute", 1, N("Reshape", ["x"], ["y"], shape=[6]), {}, (2, 3), "reshape", {"shape": (6,)}),
    ("flatten", 13, N("Flatten", ["x"], ["y"]), {}, (2, 3, 4), "flatten", {"start_dim": 1}),
    ("concat", 13, N("Concat", ["x", "x"], ["y"], axis=1), {}, (2, 3), "cat", {"dim": 1}),
    ("cast", 13, N("Cast", ["x"], ["y"], to=TensorProto.FLOAT16), {}, (2,), "cast", {"dtype": "float16"}),
    ("leaky", 16, N("LeakyRelu", ["x"], ["y"], alpha=0.2), {}, (2,), "leaky_relu", {"negative_slope": 0.2}),
    ("gelu", 20, N("Gelu", ["x"], ["y"], approximate="tanh"), {}, (2,), "gelu", {"approximate": "tanh"}),
    ("hard sigmoid", 6, N("HardSigmoid", ["x"], ["y"]), {}, (2,), "hardsigmoid", {"alpha": 0.2, "beta": 0.5}),
    ("top k attribute", 1, N("TopK", ["x"], ["y", "z"], k=2), {}, (2, 5), "topk", {"k": 2}),
    ("top k input", 11, N("TopK", ["x", "k"], ["y", "z"]), {"k": _ints(2)}, (2, 5), "topk", {"k": 2}),
    (
        "max pool",
        12,
        N("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        {},
        (1, 2, 8, 8),
        "max_pool",
        {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)},
    ),
    (
        "uneven padding",
        12,
        N("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
        {},
        (1, 2, 8, 8),
        "avg_pool",
        {"padding": ((0, 1), (0, 1)), "stride": (1, 1)},
    ),
    (
        "upsample attribute",
        7,
        N("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 2.0]),
        {},
        (1, 2, 4, 4),
        "interpolate",
        {"scale_factor": (1.0, 1.0, 2.0, 2.0)},
    ),
    (
        "resize input",
        13,
        N("Resize", ["x", "", "s"], ["y"]),
        {"s": np.array([1, 1, 2, 2], np.float32)},
        (1, 2, 4, 4),
        "interpolate",
        {"scale_factor": (1.0, 1.0, 2.0, 2.0)},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_attributes_are_canonical(models: Models, case: tuple[Any, ...]) -> None:
    _, opset, node, weights, shape, op, attrs = case
    graph = models.load([node], weights, inputs={"x": shape}, opset=opset)
    (read,) = graph.nodes
    assert read.op == op
    assert {name: read.attrs.get(name, "absent") for name in attrs} == attrs
    assert not graph.parameters
    assert not graph.coverage.opaque


def _layer(
    models: Models, node: onnx.NodeProto, shape: Sequence[int], opset: int = 20, **weights: Sequence[int]
) -> Graph:
    made = {name: np.random.default_rng(0).random(size, np.float32) for name, size in weights.items()}
    return models.load([node], made, inputs={"x": shape}, opset=opset)


@pytest.mark.parametrize(
    ("attrs", "padding"),
    [
        ({"pads": [1, 2, 1, 2]}, (1, 2)),
        ({"pads": [0, 0, 1, 1]}, ((0, 1), (0, 1))),
        ({"auto_pad": "SAME_UPPER"}, "same"),
        ({"auto_pad": "VALID"}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_convolution(models: Models, attrs: dict[str, Any], padding: object) -> None:
    graph = _layer(models, N("Conv", ["x", "w"], ["y"], group=2, strides=[2, 1], **attrs), (1, 4, 9, 9), w=(6, 2, 3, 3))
    (node,) = graph.nodes
    assert (node.op, node.attrs["groups"], node.attrs["stride"], node.attrs["dilation"]) == ("conv", 2, (2, 1), (1, 1))
    assert node.attrs["padding"] == padding
    assert node.attrs["kernel_size"] == (3, 3)
    assert node.inputs[2] is None
    assert graph.values[node.inputs[1]].parameter == "w"


@pytest.mark.parametrize("opset", [7, 9, 14, 20])
def test_batch_norm_has_torchs_momentum_and_buffers(models: Models, opset: int) -> None:
    graph = _layer(
        models,
        N("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], momentum=0.9),
        (1, 4, 2, 2),
        opset,
        s=(4,),
        b=(4,),
        m=(4,),
        v=(4,),
    )
    (node,) = graph.nodes
    assert node.op == "batch_norm"
    assert node.attrs["momentum"] == 0.1
    assert node.attrs["eps"] == 1e-5
    assert {p.name: p.buffer for p in graph.parameters.values()} == {"s": False, "b": False, "m": True, "v": True}


def test_gemm_says_which_side_is_transposed(models: Models) -> None:
    graph = _layer(models, N("Gemm", ["x", "w", "b"], ["y"], transB=1), (2, 4), w=(3, 4), b=(3,))
    assert graph.nodes[0].attrs["transposed_weight"] is True
    assert graph.nodes[0].attrs["transposed_input"] is False


def test_layer_norm(models: Models) -> None:
    graph = _layer(models, N("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1), (2, 3, 4), s=(4,), b=(4,))
    assert graph.nodes[0].attrs["normalized_shape"] == (4,)
    assert set(graph.parameters) == {"s", "b"}


def test_rows_looked_up_in_a_table_are_an_embedding(models: Models) -> None:
    table = np.random.default_rng(0).random((10, 4), np.float32)
    model = models.proto([N("Gather", ["table", "i"], ["y"])], {"table": table}, inputs={"i": (2, 3)})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    from initadvisor.frontends.onnx_model import load

    graph = load(models.save(model))
    (node,) = graph.nodes
    assert node.op == "embedding"
    assert [graph.values[v].name for v in node.inputs] == ["i", "table"]
    assert graph.values[node.outputs[0]].shape == (2, 3, 4)


def test_one_fixed_row_is_a_selection(models: Models) -> None:
    graph = models.load([N("Gather", ["x", "i"], ["y"], axis=1)], {"i": np.array(0)}, inputs={"x": (2, 3, 4)})
    assert graph.nodes[0].op == "index_select"
    assert graph.nodes[0].attrs["dim"] == 1


def test_a_shape_computed_by_nodes_is_one_known_shape(models: Models) -> None:
    """The way exporters flatten: Shape -> Gather -> Unsqueeze -> Concat -> Reshape."""
    nodes = [
        N("Shape", ["x"], ["s"]),
        N("Gather", ["s", "zero"], ["n"]),
        N("Unsqueeze", ["n", "axis"], ["u"]),
        N("Concat", ["u", "rest"], ["target"], axis=0),
        N("Reshape", ["x", "target"], ["r"]),
        N("MatMul", ["r", "w"], ["y"]),
    ]
    weights = {"zero": np.array(0), "axis": _ints(0), "rest": _ints(-1), "w": np.ones((12, 2), np.float32)}
    graph = models.load(nodes, weights, inputs={"x": (5, 3, 4)})
    assert [node.op for node in graph.nodes] == ["reshape", "matmul"]
    assert graph.nodes[0].attrs["shape"] == (5, 12)
    assert graph.values[graph.outputs[0]].shape == (5, 2)


def test_an_unknown_shape_stays_reachable(models: Models) -> None:
    """An input that names an attribute and is not known comes behind the slots."""
    model = models.proto([N("Reshape", ["x", "s"], ["y"])], inputs={"x": (2, 6), "s": (2,)})
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    from initadvisor.frontends.onnx_model import load

    graph = load(models.save(model))
    assert [graph.values[v].name for v in graph.nodes[0].inputs] == ["x", "s"]
    assert "shape" not in graph.nodes[0].attrs


def test_scalars_are_constants_and_tables_are_parameters(models: Models) -> None:
    weights = {"half": _float(0.5), "shift": np.linspace(0, 1, 4, dtype=np.float32)}
    graph = models.load([N("Mul", ["x", "half"], ["t"]), N("Add", ["t", "shift"], ["y"])], weights)
    assert list(graph.parameters) == ["shift"]
    constant = graph.values[graph.nodes[0].inputs[1]]
    assert constant.kind == "constant"
    assert constant.constant is not None
    assert constant.constant.item() == 0.5


def test_an_attention_mask_is_a_constant(models: Models) -> None:
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    graph = models.load([N("Add", ["x", "mask"], ["y"])], {"mask": mask}, inputs={"x": (4, 4)})
    assert not graph.parameters


def test_custom_operators_are_opaque_and_counted(models: Models) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("my.company", 1)]
    nodes = [N("Fancy", ["x", "w"], ["t"], domain="my.company"), N("Relu", ["t"], ["y"])]
    graph = models.load(nodes, {"w": np.ones((4, 4), np.float32)}, opset_imports=opsets)
    assert [(node.op, node.native) for node in graph.nodes] == [("opaque", "my.company::Fancy"), ("relu", "Relu")]
    assert graph.coverage.opaque == {"my.company::Fancy": 1}
    assert graph.coverage.operators == 0.5
    assert list(graph.parameters) == ["w"]


def test_given_input_shapes_replace_open_ones(models: Models) -> None:
    from initadvisor.errors import UsageError
    from initadvisor.frontends.onnx_model import load
    from initadvisor.frontends.options import LoadOptions

    path = models.save(models.proto([N("Relu", ["x"], ["y"])], inputs={"x": ("batch", 4)}))
    assert load(path).values[0].shape == (None, 4)
    graph = load(path, LoadOptions(input_shapes=((7, 4),)))
    assert graph.values[graph.outputs[0]].shape == (7, 4)
    with pytest.raises(UsageError, match="dimensions"):
        load(path, LoadOptions(input_shapes=((7, 4, 1),)))
    with pytest.raises(UsageError, match="2 input shapes"):
        load(path, LoadOptions(input_shapes=((7, 4), (1,))))
