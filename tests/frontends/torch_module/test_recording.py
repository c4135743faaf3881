"""What a recording says: canonical operators, slots, scopes, constants, parameters, inputs and outputs."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.graph import Graph


def named(graph: Graph, op: str) -> list[list[str | None]]:
    """The input names of every node of an operator."""
    return [[None if i is None else graph.values[i].name for i in n.inputs] for n in graph.nodes if n.op == op]


def test_slots_follow_the_operator_table_whatever_the_call_looks_like() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.b, self.e = (nn.Parameter(torch.randn(*s)) for s in ((4, 4), (4,), (9, 4)))

        def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            y = F.linear(bias=self.b, weight=self.w, input=x)
            y = y + F.embedding(ids, self.e).sum(1) + torch.embedding(self.e, ids).sum(1)
            return F.batch_norm(y, None, None, weight=self.b, training=True)

    graph = load(Model(), LoadOptions(example=(torch.randn(2, 4), torch.tensor([[1, 2], [3, 4]]))))
    assert named(graph, "linear") == [["input", "w", "b"]]
    assert named(graph, "embedding") == [["input1", "e"], ["input1", "e"]]
    (norm,) = [n for n in graph.nodes if n.op == "batch_norm"]
    assert [graph.values[i].name if i is not None else None for i in norm.inputs][1:] == ["b"]
    assert norm.attrs["training"] is True


def test_numbers_in_tensor_slots_are_constants_and_other_arguments_attributes() -> None:
    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.leaky_relu(1 - x * 0.5, negative_slope=0.2).sum(-1, keepdim=True)

    graph = load(Model(), LoadOptions(example=torch.randn(2, 4)))
    mul, sub = graph.nodes[0], graph.nodes[1]
    assert mul.op == "mul"
    half = graph.values[mul.inputs[1]]
    assert (half.kind, float(half.constant)) == ("constant", 0.5)
    assert sub.op in ("sub", "reversed_sub")
    one = [graph.values[i] for i in sub.inputs if i is not None and graph.values[i].kind == "constant"]
    assert [float(v.constant) for v in one] == [1.0]
    assert graph.nodes[2].attrs["negative_slope"] == 0.2
    assert graph.nodes[3].attrs == {"dim": -1, "keepdim": True}


def test_scopes_and_calls_are_counted() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(self.block(x)) + x

    graph = load(Twice())
    assert [(n.op, n.scope, n.call) for n in graph.nodes] == [
        ("linear", "block.0", 0),
        ("relu", "block.1", 0),
        ("linear", "block.0", 1),
        ("relu", "block.1", 1),
        ("add", "", 0),
    ]


def test_shape_arithmetic_and_tables_become_constants_without_nodes() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("index", torch.tensor([2, 0, 1]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.ones(4, 4).triu(1).bool() & (torch.arange(4) < x.shape[0] + 2)
            return x.masked_fill(mask[: x.shape[0]], 0.0)[:, self.index.view(-1)]

    graph = load(Model(), LoadOptions(example=torch.randn(2, 4)))
    assert [n.op for n in graph.nodes] == ["masked_fill", "getitem"]
    mask = graph.values[graph.nodes[0].inputs[1]]
    expected = np.triu(np.ones((4, 4)), 1).astype(bool)[:2]
    assert mask.kind == "constant"
    assert np.array_equal(mask.constant, expected)
    index = graph.values[graph.nodes[1].inputs[1]]
    assert index.constant.tolist() == [2, 0, 1]


def test_parameters_have_sources_ties_and_flags() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "n": nn.BatchNorm1d(3)})
    model["b"].weight = model["a"].weight
    model["a"].bias.requires_grad_(False)
    graph = load(nn.Sequential(model["a"], model["n"], model["b"]))
    weight = graph.parameters["0.weight"]
    assert weight.aliases == ("2.weight",)
    assert (weight.trainable, graph.parameters["0.bias"].trainable) == (True, False)
    assert graph.parameters["1.running_mean"].buffer
    chunk = np.concatenate([c.copy() for c in weight.source.chunks(4)])
    assert np.array_equal(chunk, model["a"].weight.detach().numpy().reshape(-1))


def test_half_precision_sources_read_the_stored_numbers() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn):
        tensor = torch.randn(3, 5).to(dtype)
        module = nn.Module()
        module.weight = nn.Parameter(tensor, requires_grad=False)
        module.forward = lambda x, m=module: x @ m.weight.float()
        parameter = load(module, LoadOptions(example=torch.randn(2, 3))).parameters["weight"]
        assert parameter.dtype == str(dtype)[6:]
        read = np.concatenate([c.astype(np.float64) for c in parameter.source.chunks(4)])
        assert np.array_equal(read, tensor.double().numpy().reshape(-1))


def test_models_on_the_meta_device_have_no_sources_and_whole_graphs() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    graph = load(model)
    assert graph.coverage.capture == "virtual"
    assert all(p.source is None for p in graph.parameters.values())
    assert [n.op for n in graph.nodes] == ["linear", "layer_norm", "linear"]


def test_value_ids_are_positions_and_nodes_are_in_order() -> None:
    graph = load(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    assert [v.id for v in graph.values] == list(range(len(graph.values)))
    assert [n.id for n in graph.nodes] == list(range(len(graph.nodes)))
    for node in graph.nodes:
        assert all(graph.values[o].producer == node.id for o in node.outputs)
        for value in node.inputs:
            producer = graph.values[value].producer if value is not None else None
            assert producer is None or producer < node.id


def test_lines_name_the_users_code() -> None:
    graph = load(nn.Sequential(nn.Linear(4, 4)))
    assert graph.nodes[0].line is not None
    assert "/torch/" not in graph.nodes[0].line
