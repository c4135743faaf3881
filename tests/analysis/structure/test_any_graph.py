"""Whatever a file declares, describing it ends in layers, not in an exception; and its cost grows with its size."""

from __future__ import annotations

import time

import pytest
import torch
from graphs import Sketch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from initadvisor.analysis.structure import describe
from initadvisor.graph import Graph, Parameter
from initadvisor.ops import OPERATORS

NAMES = [*sorted(OPERATORS), "opaque", "no_such_operator"]
SIZES = st.sampled_from([0, 1, 2, 3, 6, 12, None])
SHAPES = st.one_of(st.none(), st.lists(SIZES, max_size=4).map(tuple))
NUMBERS = st.one_of(st.integers(-3, 9), st.floats(-2, 2), st.none(), st.booleans(), st.text(max_size=3))
KEYS = (
    *("dim", "dims", "dim0", "dim1", "index", "start", "end", "step", "length", "shape", "groups", "stride"),
    *("equation", "num_groups", "eps", "source", "destination", "transposed_weight", "num_layers"),
    *("normalized_shape", "min", "max", "alpha"),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(KEYS),
    st.one_of(NUMBERS, st.lists(NUMBERS, max_size=4).map(tuple), st.just("ab,bc->ac"), st.just((slice(0, 2), "..."))),
    max_size=5,
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of any operators on any values, in execution order."""
    sketch = Sketch(draw(st.sampled_from(["onnx", "torch"])))
    values = [sketch.input(*(draw(SHAPES) or ())), sketch.constant(draw(st.floats(-2, 2)))]
    for i in range(draw(st.integers(1, 5))):
        shape = tuple(d or draw(st.integers(0, 4)) for d in (draw(SHAPES) or (6, 6)))
        values.append(sketch.parameter(f"m{i}.weight", *shape, buffer=draw(st.booleans())))
    for _ in range(draw(st.integers(1, 14))):
        inputs = draw(st.lists(st.one_of(st.none(), st.sampled_from(values)), max_size=5))
        outputs = [draw(SHAPES) for _ in range(draw(st.integers(0, 3)))]
        attrs = draw(ATTRIBUTES)
        values += sketch.add_many(
            draw(st.sampled_from(NAMES)), inputs, outputs, scope=draw(st.sampled_from(["", "a.b"])), **attrs
        )
    sketch.graph.outputs = tuple(draw(st.lists(st.sampled_from(values), max_size=2)))
    return sketch.graph


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_any_graph_is_described(graph: Graph) -> None:
    describe(graph)
    assert 0.0 <= graph.coverage.parameters <= 1.0
    assert 0.0 <= graph.coverage.operators <= 1.0
    for layer in graph.layers:
        assert layer.weight is None or layer.weight in graph.parameters


def _chain(blocks: int, nested: bool) -> Graph:
    """Residual blocks, one behind the other or one inside the other."""
    sketch = Sketch()
    x = sketch.input(4, 8)
    opened = []
    for i in range(blocks):
        opened.append(x)
        y = sketch.add("relu", [sketch.linear(x, f"{i}.a", 8, 8)], (4, 8))
        x = y if nested else sketch.add("add", [x, sketch.linear(y, f"{i}.b", 8, 8)], (4, 8))
    if nested:
        for i, before in enumerate(reversed(opened)):
            x = sketch.add("add", [before, sketch.linear(x, f"{i}.c", 8, 8)], (4, 8))
    sketch.graph.outputs = (x,)
    return sketch.graph


def _seconds(graph: Graph) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        describe(graph)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("nested", [False, True])
def test_the_cost_is_linear_in_the_graph(nested: bool) -> None:
    small, large = _chain(100, nested), _chain(800, nested)
    describe(small)
    assert _seconds(large) / _seconds(small) < 24  # eight times the size; a square would be 64 times


def test_towers_that_never_meet_do_not_make_it_square() -> None:
    """Sums of signals without a common source search the whole past: the budget caps that, and says so."""
    sketch = Sketch()
    a, b = sketch.input(4, 8), sketch.input(4, 8)
    for i in range(2000):
        a = sketch.add("relu", [sketch.linear(a, f"a{i}", 8, 8)], (4, 8))
        b = sketch.add("relu", [sketch.linear(b, f"b{i}", 8, 8)], (4, 8))
        sketch.add("add", [a, b], (4, 8))
    start = time.perf_counter()
    describe(sketch.graph)
    assert time.perf_counter() - start < 20
    assert any("too far" in note for note in sketch.graph.coverage.notes)


def test_resnet50_takes_less_than_fifty_milliseconds() -> None:
    import torchvision
    from graphs import recorded

    graph = recorded(torchvision.models.resnet50(weights=None), torch.zeros(1, 3, 224, 224))
    assert _seconds(graph) < 0.05


def test_a_state_dict_has_layers_without_a_graph() -> None:
    def state(**shapes: tuple[int, ...]) -> Graph:
        graph = Graph("weights", "checkpoint", edges=False)
        for name, shape in shapes.items():
            key = name.replace("__", ".")
            graph.parameters[key] = Parameter(key, shape, "float32", None)
        return describe(graph)

    graph = state(
        fc__weight=(10, 6),
        fc__bias=(10,),
        up__weight=(6, 10, 2, 2),
        up__bias=(10,),
        norm__weight=(6,),
        norm__bias=(6,),
        norm__running_mean=(6,),
        norm__running_var=(6,),
        table__weight=(50, 8),
        scale=(8,),
    )
    layers = {layer.name: layer for layer in graph.layers}
    assert (layers["fc"].kind, layers["fc"].fan_in, layers["fc"].bias) == ("linear", 6, "fc.bias")
    assert (layers["norm"].kind, layers["norm"].op) == ("norm", "batch_norm")
    assert (layers["up"].kind, layers["up"].fan_in) == ("table", None)  # its bias is as long as axis 1: which is out?
    assert (layers["table"].kind, layers["scale"].kind) == ("table", "table")
    assert graph.parameters["norm.running_mean"].buffer


def test_describing_twice_gives_the_same() -> None:
    from graphs import recorded

    graph = recorded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), torch.zeros(1, 3, 8, 8))
    before = [(x.name, x.kind, x.fan_in, x.norm_after) for x in graph.layers]
    describe(graph)
    assert [(x.name, x.kind, x.fan_in, x.norm_after) for x in graph.layers] == before
