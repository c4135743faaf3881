"""Order, subgraphs and functions: every node of a model is read, wherever it stands."""

from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import TensorProto, helper, numpy_helper

from initadvisor.frontends.onnx_model import load
from initadvisor.graph import Graph

N = helper.make_node


def _body(nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str], **weights: np.ndarray) -> onnx.GraphProto:
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names] for names in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    return helper.make_graph(nodes, "body", *infos, tensors)


def _ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def _reaches(graph: Graph, start: int, goal: int) -> bool:
    """Whether a signal can flow from one value to another."""
    seen = {start}
    for node in graph.nodes:
        if any(value in seen for value in node.inputs):
            seen.update(node.outputs)
    return goal in seen


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_nodes_gives_one_graph(models: Models, seed: int) -> None:
    names = ["x", *(f"t{i}" for i in range(12))]
    nodes = [N("Add", [names[i], names[i // 2]], [names[i + 1]], name=f"n{i}") for i in range(12)]
    straight = models.load(nodes, outputs=["t11"])
    shuffled = nodes.copy()
    random.Random(seed).shuffle(shuffled)
    graph = models.load(shuffled, outputs=["t11"])
    wires = [[graph.values[v].name for v in node.inputs] for node in graph.nodes]
    assert sorted(wires) == sorted([straight.values[v].name for v in node.inputs] for node in straight.nodes)
    for node in graph.nodes:
        assert all(graph.values[v].producer is None or graph.values[v].producer < node.id for v in node.inputs)


def test_a_graph_in_order_keeps_its_order(models: Models) -> None:
    nodes = [N("Tanh", ["x"], ["b"]), N("Relu", ["x"], ["a"]), N("Add", ["a", "b"], ["y"])]
    assert _ops(models.load(nodes)) == ["tanh", "relu", "add"]


def test_sorting_minds_what_subgraphs_read(models: Models) -> None:
    """The If stands before the node whose result only its branch reads."""
    then = _body([N("Relu", ["late"], ["r"])], [], ["r"])
    other = _body([N("Tanh", ["x"], ["r2"])], [], ["r2"])
    nodes = [
        N("If", ["c"], ["y"], then_branch=then, else_branch=other),
        N("Sigmoid", ["x"], ["late"]),
        N("ReduceMax", ["x"], ["m"], keepdims=0),
        N("Greater", ["m", "zero"], ["c"]),
    ]
    graph = models.load(nodes, {"zero": np.array(0, np.float32)})
    assert _ops(graph).index("sigmoid") < _ops(graph).index("relu")
    assert _ops(graph)[-1] == "if"


def test_both_branches_of_an_if_are_read(models: Models) -> None:
    weight = np.random.default_rng(0).random((4, 4), np.float32)
    then = _body([N("MatMul", ["x", "wt"], ["r"])], [], ["r"], wt=weight)
    other = _body([N("MatMul", ["x", "we"], ["r2"])], [], ["r2"], we=weight.T.copy())
    nodes = [
        N("ReduceMax", ["x"], ["m"], keepdims=0),
        N("Greater", ["m", "zero"], ["c"]),
        N("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    graph = models.load(nodes, {"zero": np.array(0, np.float32)})
    assert set(graph.parameters) == {"wt", "we"}
    assert _ops(graph) == ["amax", "gt", "matmul", "matmul", "if"]
    assert _reaches(graph, graph.inputs[0], graph.outputs[0])


def test_a_known_condition_picks_its_branch(models: Models) -> None:
    then, other = _body([N("Relu", ["x"], ["r"])], [], ["r"]), _body([N("Tanh", ["x"], ["r2"])], [], ["r2"])
    nodes = [N("If", ["c"], ["t"], then_branch=then, else_branch=other), N("Sigmoid", ["t"], ["y"])]
    assert _ops(models.load(nodes, {"c": np.array(False)})) == ["tanh", "sigmoid"]


def test_the_body_of_a_loop_is_read_and_wired(models: Models) -> None:
    body = _body(
        [N("MatMul", ["state", "w"], ["t"]), N("Relu", ["t"], ["next"]), N("Identity", ["cond"], ["cond_out"])],
        ["i", "cond", "state"],
        ["cond_out", "next", "t"],
        w=np.random.default_rng(0).random((4, 4), np.float32),
    )
    body.input[1].type.tensor_type.elem_type = body.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    body.input[0].type.tensor_type.elem_type = TensorProto.INT64
    graph = models.load(
        [N("Loop", ["n", "go", "x"], ["y", "all"], body=body)], {"n": np.array(3), "go": np.array(True)}
    )
    assert _ops(graph) == ["loop", "matmul", "relu", "identity", "loop"]
    assert [node.attrs.get("part") for node in graph.nodes if node.op == "loop"] == ["entry", "exit"]
    assert list(graph.parameters) == ["w"]
    assert _reaches(graph, graph.inputs[0], graph.outputs[0])


@pytest.mark.parametrize("opset", [8, 9, 21])
def test_the_body_of_a_scan_is_read_and_wired(models: Models, opset: int) -> None:
    body = _body(
        [N("Add", ["state", "row"], ["next"]), N("MatMul", ["next", "w"], ["out"])],
        ["state", "row"],
        ["next", "out"],
        w=np.random.default_rng(0).random((4, 4), np.float32),
    )
    first = [""] if opset == 8 else []
    node = N("Scan", [*first, "s0", "x"], ["final", "y"], body=body, num_scan_inputs=1)
    graph = models.load([node], inputs={"s0": (4,), "x": (5, 4)}, opset=opset)
    assert _ops(graph) == ["scan", "add", "matmul", "scan"]
    assert all(_reaches(graph, value, graph.outputs[0]) for value in graph.inputs)


def test_bodies_of_unknown_operators_are_read_too(models: Models) -> None:
    body = _body([N("MatMul", ["e", "w"], ["o"])], ["e"], ["o"], w=np.ones((4, 4), np.float32))
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("my", 1)]
    graph = models.load([N("Each", ["x"], ["y"], domain="my", body=body)], opset_imports=opsets)
    assert list(graph.parameters) == ["w"]
    assert graph.coverage.opaque == {"my::Each": 2}


def test_functions_are_expanded_with_their_attributes(models: Models) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    leaky = N("LeakyRelu", ["h"], ["out"])
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    block = helper.make_function(
        "f", "Block", ["a", "w"], ["out"], [N("MatMul", ["a", "w"], ["h"]), leaky], opsets, attributes=["slope"]
    )
    nodes = [
        N("Block", ["x", "w1"], ["t"], domain="f", slope=0.25),
        N("Block", ["t", "w2"], ["y"], domain="f", slope=0.5),
    ]
    weights = {name: np.random.default_rng(0).random((4, 4), np.float32) for name in ("w1", "w2")}
    graph = models.load(nodes, weights, opset_imports=opsets, functions=[block])
    assert _ops(graph) == ["matmul", "leaky_relu", "matmul", "leaky_relu"]
    assert [n.attrs["negative_slope"] for n in graph.nodes if n.op == "leaky_relu"] == [0.25, 0.5]
    assert set(graph.parameters) == {"w1", "w2"}


def test_an_unused_bomb_harms_nobody(models: Models) -> None:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function(
            "f",
            f"f{i}",
            ["x"],
            ["y"],
            [N(f"f{i + 1}", ["x"], ["t"], domain="f"), N(f"f{i + 1}", ["t"], ["y"], domain="f")],
            opsets,
        )
        for i in range(30)
    ]
    graph = models.load([N("Relu", ["x"], ["y"])], opset_imports=opsets, functions=functions)
    assert _ops(graph) == ["relu"]


def test_a_name_may_be_shadowed_in_a_body(models: Models) -> None:
    """Two branches use one name for different tensors: each reads its own."""
    first, second = np.full((4, 4), 1, np.float32), np.full((4, 4), 2, np.float32)
    then = _body([N("MatMul", ["x", "w"], ["r"])], [], ["r"], w=first)
    other = _body([N("MatMul", ["x", "w"], ["r2"])], [], ["r2"], w=second)
    nodes = [
        N("ReduceMax", ["x"], ["m"], keepdims=0),
        N("Greater", ["m", "zero"], ["c"]),
        N("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    graph = models.load(nodes, {"zero": np.array(0, np.float32)})
    read = [next(iter(p.source.chunks(1)))[0] for p in graph.parameters.values() if p.source is not None]
    assert sorted(read) == [1, 2]


def test_the_graph_may_give_out_an_initializer(models: Models) -> None:
    graph = load(
        models.save(models.proto([N("Relu", ["x"], ["y"])], {"w": np.eye(3, dtype=np.float32)}, outputs=["y", "w"]))
    )
    assert graph.values[graph.outputs[1]].parameter == "w"
