"""Folded arithmetic and completed shapes agree with onnx's own reference and inference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import TensorProto, helper, shape_inference
from onnx.reference import ReferenceEvaluator

from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.onnx_model.completion import complete
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS, RULES, fold
from initadvisor.graph import Node, Shape, Value
from initadvisor.ops import OPERATORS

N = helper.make_node
WHOLE = np.arange(1, 7).reshape(2, 3)
REAL = np.array(2.25, np.float32)

FOLDS: list[tuple[str, list[np.ndarray], dict[str, object]]] = [
    *((op, [WHOLE, np.array([1, 2, 3])], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    *((op, [WHOLE, np.array(3)], {}) for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *((op, [WHOLE - 3], {}) for op in ("Neg", "Abs")),
    *((op, [REAL], {}) for op in ("Sqrt", "Reciprocal", "Ceil", "Floor", "Exp", "Log", "Identity")),
    *((op, [WHOLE > 2, WHOLE < 5], {}) for op in ("And", "Or")),
    ("Not", [WHOLE > 2], {}),
    ("Div", [np.array([-7, 7]), np.array([2, -2])], {}),
    ("Mod", [np.array([-7, 7]), np.array([3, 3])], {}),
    ("Mod", [np.array([-7.5, 7.5]), np.array([3.0, 3.0])], {"fmod": 1}),
    ("Pow", [WHOLE, np.array(2)], {}),
    ("Sum", [WHOLE, WHOLE, WHOLE], {}),
    ("Cast", [WHOLE], {"to": TensorProto.FLOAT}),
    ("Cast", [REAL], {"to": TensorProto.INT64}),
    ("Squeeze", [WHOLE[None], np.array([0])], {}),
    ("Unsqueeze", [WHOLE, np.array([0, 2])], {}),
    ("Gather", [WHOLE, np.array([[1, 0], [-1, 1]])], {"axis": 1}),
    ("Concat", [WHOLE, WHOLE], {"axis": 1}),
    ("Slice", [WHOLE, np.array([1]), np.array([100]), np.array([1])], {}),
    ("Slice", [WHOLE, np.array([-1]), np.array([-100]), np.array([1]), np.array([-1])], {}),
    ("Slice", [WHOLE, np.array([0, 0]), np.array([2, 3]), np.array([0, 1]), np.array([1, 2])], {}),
    ("Reshape", [WHOLE, np.array([3, -1])], {}),
    ("Reshape", [WHOLE, np.array([0, 3, 1])], {}),
    ("Transpose", [WHOLE], {"perm": [1, 0]}),
    ("Transpose", [WHOLE], {}),
    ("Range", [np.array(2), np.array(11), np.array(3)], {}),
    ("Where", [WHOLE > 2, WHOLE, -WHOLE], {}),
    ("Expand", [np.array([[1], [2]]), np.array([2, 1, 3])], {}),
    ("ReduceProd", [WHOLE, np.array([1])], {"keepdims": 0}),
    ("ReduceSum", [WHOLE], {}),
    ("ReduceMax", [WHOLE, np.array([0])], {}),
    ("ReduceMin", [WHOLE, np.array([0])], {}),
]


@pytest.mark.parametrize("case", FOLDS, ids=lambda case: f"{case[0]}-{len(case[1])}")
def test_folding_agrees_with_the_reference(case: tuple[str, list[np.ndarray], dict[str, object]]) -> None:
    op, inputs, attrs = case
    names = [f"i{k}" for k in range(len(inputs))]
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, inputs, strict=True)
    ]
    graph = helper.make_graph([N(op, names, ["y"], **attrs)], "g", infos, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (expected,) = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    found = fold(op, inputs, attrs, 18)
    assert found is not None
    assert found.dtype == np.asarray(expected).dtype
    assert found.shape == np.asarray(expected).shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_rule_has_a_case() -> None:
    assert set(RULES) == {case[0] for case in FOLDS}


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("Range", [np.array(0), np.array(1 << 60), np.array(1)], {}),
        ("Range", [np.array(0), np.array(5), np.array(0)], {}),
        ("Expand", [np.array([1]), np.array([1 << 40, 1 << 40])], {}),
        ("Add", [np.zeros((4096, 1)), np.zeros((1, 4096))], {}),
        ("Where", [np.zeros((4096, 1), bool), np.zeros((1, 4096)), np.zeros(1)], {}),
        ("Gather", [np.zeros((4, 4000)), np.zeros(4000, np.int64)], {}),
        ("Div", [np.array(1), np.array(0)], {}),
        ("Reshape", [np.arange(6), np.array([4, -1])], {}),
        ("Gather", [np.arange(6), np.array(7)], {}),
        ("Concat", [np.arange(6), None], {"axis": 0}),
        ("Unknown", [np.arange(6)], {}),
    ],
)
def test_what_is_too_large_or_makes_no_sense_is_left_alone(
    op: str, inputs: list[np.ndarray], attrs: dict[str, object]
) -> None:
    assert fold(op, inputs, attrs, 18) is None


def test_folded_results_are_small() -> None:
    assert fold("Range", [np.array(0), np.array(FOLD_ELEMENTS), np.array(1)], {}, 18) is not None
    assert fold("Range", [np.array(0), np.array(FOLD_ELEMENTS + 1), np.array(1)], {}, 18) is None


# Each chain ends in a value whose shape onnx infers; the completion must come to the same.
CHAINS: dict[str, tuple[list[onnx.NodeProto], dict[str, np.ndarray], tuple[int, ...]]] = {
    "convolution": (
        [N("Conv", ["x", "w"], ["y"], strides=[2, 1], pads=[0, 1, 2, 1], dilations=[1, 2])],
        {"w": np.zeros((6, 3, 3, 2), np.float32)},
        (2, 3, 9, 8),
    ),
    "same padding": (
        [N("Conv", ["x", "w"], ["y"], strides=[2, 2], auto_pad="SAME_UPPER")],
        {"w": np.zeros((6, 3, 3, 3), np.float32)},
        (2, 3, 9, 8),
    ),
    "pooling": ([N("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])], {}, (2, 3, 9, 8)),
    "global pooling": ([N("GlobalAveragePool", ["x"], ["y"])], {}, (2, 3, 9, 8)),
    "matmul": ([N("MatMul", ["x", "w"], ["y"])], {"w": np.zeros((3, 8, 5), np.float32)}, (2, 3, 9, 8)),
    "gemm": ([N("Gemm", ["x", "w"], ["y"], transA=1, transB=1)], {"w": np.zeros((7, 4), np.float32)}, (4, 6)),
    "slice": (
        [N("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {"s": np.array([1, -1]), "e": np.array([7, -100]), "a": np.array([2, 3]), "t": np.array([2, -1])},
        (2, 3, 9, 8),
    ),
    "broadcast": ([N("Add", ["x", "w"], ["y"])], {"w": np.zeros((4, 1, 8), np.float32)}, (3, 1, 9, 1)),
    "flatten": ([N("Flatten", ["x"], ["y"], axis=2)], {}, (2, 3, 9, 8)),
    "squeeze": (
        [N("Squeeze", ["x", "a"], ["t"]), N("Unsqueeze", ["t", "b"], ["y"])],
        {"a": np.array([1]), "b": np.array([0, -1])},
        (2, 1, 5),
    ),
    "concat": ([N("Concat", ["x", "x"], ["y"], axis=-1)], {}, (2, 5)),
    "transpose": ([N("Transpose", ["x"], ["y"], perm=[2, 0, 1])], {}, (2, 3, 4)),
    "expand": ([N("Expand", ["x", "s"], ["y"])], {"s": np.array([4, 1, 3])}, (2, 1)),
    "reduce": ([N("ReduceMean", ["x"], ["y"], keepdims=0, axes=[-1, 1])], {}, (2, 3, 4)),
    "reduce all": ([N("ReduceMax", ["x"], ["y"])], {}, (2, 3, 4)),
    "argmax": ([N("ArgMax", ["x"], ["y"], axis=1, keepdims=0)], {}, (2, 3, 4)),
    "split": ([N("Split", ["x"], ["a", "b"], axis=1), N("Concat", ["b", "b", "b"], ["y"], axis=1)], {}, (2, 6)),
    "transposed convolution": (
        [N("ConvTranspose", ["x", "w"], ["y"], strides=[2, 3], pads=[1, 0, 1, 2], output_padding=[1, 0], group=2)],
        {"w": np.zeros((4, 3, 3, 4), np.float32)},
        (2, 4, 5, 6),
    ),
    "ceiling pooling": (
        [N("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1])],
        {},
        (1, 2, 7, 8),
    ),
    "resize by scale": (
        [N("Resize", ["x", "", "s"], ["y"])],
        {"s": np.array([1, 1, 1.5, 2], np.float32)},
        (1, 2, 5, 6),
    ),
    "resize to size": ([N("Resize", ["x", "", "", "s"], ["y"])], {"s": np.array([1, 2, 9, 4])}, (1, 2, 5, 6)),
    "einsum": (
        [N("Einsum", ["x", "w"], ["y"], equation="bij, kj -> bki")],
        {"w": np.zeros((7, 4), np.float32)},
        (2, 3, 4),
    ),
    "implicit einsum": (
        [N("Einsum", ["x", "w"], ["y"], equation="bij,kj")],
        {"w": np.zeros((7, 4), np.float32)},
        (2, 3, 4),
    ),
    "top k": ([N("TopK", ["x", "k"], ["y", "z"], axis=1)], {"k": np.array([2])}, (3, 5)),
    "tile": ([N("Tile", ["x", "r"], ["y"])], {"r": np.array([2, 3])}, (3, 5)),
    "pad": ([N("Pad", ["x", "p"], ["y"])], {"p": np.array([0, 1, 2, 3])}, (3, 5)),
    "gather": ([N("Gather", ["x", "i"], ["y"], axis=1)], {"i": np.array([[0, 1], [1, 2]])}, (2, 3, 4)),
    "gather nd": ([N("GatherND", ["x", "i"], ["y"])], {"i": np.array([[0, 1], [1, 2]])}, (2, 3, 4)),
    "depth to space": ([N("DepthToSpace", ["x"], ["y"], blocksize=2)], {}, (2, 8, 3, 5)),
    "space to depth": ([N("SpaceToDepth", ["x"], ["y"], blocksize=2)], {}, (2, 3, 4, 6)),
    "lstm": (
        [N("LSTM", ["x", "w", "r"], ["y"], hidden_size=3, direction="bidirectional")],
        {"w": np.zeros((2, 12, 4), np.float32), "r": np.zeros((2, 12, 3), np.float32)},
        (7, 2, 4),
    ),
    "matrix times vector": ([N("MatMul", ["x", "w"], ["y"])], {"w": np.zeros(4, np.float32)}, (2, 3, 4)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_completed_shapes_are_those_that_onnx_infers(models: Models, name: str) -> None:
    nodes, weights, shape = CHAINS[name]
    opset = 17 if "axes" in str(nodes[0]) and nodes[0].op_type.startswith("Reduce") else 18
    if nodes[0].op_type == "Split":
        opset = 17
    model = models.proto(nodes, weights, inputs={"x": shape}, opset=opset)
    model.graph.output[0].ClearField("type")
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph.output[0].type.tensor_type.shape
    graph = load(models.save(model))
    assert graph.values[graph.outputs[0]].shape == tuple(dim.dim_value for dim in inferred.dim)


def test_types_follow_the_operators(models: Models) -> None:
    nodes = [
        N("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        N("Relu", ["half"], ["r"]),
        N("Greater", ["x", "x"], ["g"]),
        N("ArgMax", ["x"], ["a"]),
        N("Shape", ["r"], ["s"]),
    ]
    model = models.proto(nodes, outputs=["r", "g", "a"])
    for value in model.graph.output:
        value.ClearField("type")
    graph = load(models.save(model))
    assert [graph.values[v].dtype for v in graph.outputs] == ["float16", "bool", "int64"]


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "declared", "expected"),
    [
        ("relu", [(2, 3)], {}, (2, 4), (2, 4)),
        ("relu", [(2, 3)], {}, (5, None), (5, 3)),
        ("relu", [None], {}, None, None),
        ("reshape", [(2, 3)], {}, None, None),
        ("loop", [(2, 3)], {}, None, None),
        ("add", [(2, 3), (2, 4)], {}, None, None),
        ("add", [(2, None), (2, 4)], {}, None, (2, 4)),
        ("add", [(2, None), (2, 1)], {}, None, (2, None)),
        ("gather_nd", [(2, 3), (5, -7)], {"batch_dims": -7}, None, None),
        ("repeat", [(1 << 40,)], {"repeats": (1 << 40,)}, None, None),
    ],
)
def test_what_is_declared_is_not_overruled_and_nonsense_is_unknown(
    op: str, inputs: list[Shape | None], attrs: dict[str, object], declared: Shape | None, expected: Shape | None
) -> None:
    value = Value(0, "y", declared, "float32", "result")
    complete(Node(0, op, (), (0,), dict(attrs)), OPERATORS[op], [value], inputs, ["float32"] * len(inputs))
    assert value.shape == expected
