"""Where a forward pass cannot be recorded, a lower step gives fewer facts and says why; it never raises."""

from __future__ import annotations

import torch
from torch import nn

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.frontends.torch_module.load import load as ladder


class Stubborn(nn.Module):
    """Wants true numbers: what it computes must match what numpy computes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        expected = x.detach().numpy() @ self.a.weight.detach().numpy().T + self.a.bias.detach().numpy()
        if abs(float(h.detach().sum()) - float(expected.sum())) > 1e-3:
            raise ValueError("the numbers are wrong")
        return self.b(h)


def test_a_model_that_checks_its_numbers_is_recorded_on_real_ones() -> None:
    module = Stubborn()
    graph = load(module, LoadOptions(example=torch.randn(2, 4)))
    assert graph.coverage.capture == "real"
    assert [n.op for n in graph.nodes if n.op == "linear"] == ["linear", "linear"]
    assert any("virtual" in note for note in graph.coverage.notes)


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, groups=1, stride=2), nn.BatchNorm2d(8)
        self.rnn, self.out = nn.LSTM(8, 4, bidirectional=True), nn.Linear(8, 2)
        self.attention, self.table = nn.MultiheadAttention(8, 2), nn.Embedding(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("this model\ncannot run")


def test_the_module_tree_still_knows_every_layer() -> None:
    graph = ladder(Broken())
    assert (graph.coverage.capture, graph.edges) == ("module tree", False)
    assert any("this model cannot run" in note and "test_ladder.py" in note for note in graph.coverage.notes)
    held = {graph.values[i].parameter for n in graph.nodes for i in n.inputs if i is not None}
    assert {n for n, p in graph.parameters.items() if not p.buffer} <= held
    by_scope = {n.scope: n for n in graph.nodes}
    assert by_scope["conv"].op == "conv"
    assert by_scope["conv"].attrs["stride"] == (2, 2)
    assert by_scope["attention"].op == "multi_head_attention"
    assert by_scope["rnn"].op == "lstm"


def test_a_module_without_forward_is_recorded_part_by_part() -> None:
    graph = load(nn.ModuleDict({"g": nn.Linear(3, 5), "d": nn.ModuleList([nn.Linear(5, 1), Broken()])}))
    assert (graph.coverage.capture, graph.edges) == ("parts", False)
    assert [(n.op, n.scope) for n in graph.nodes[:2]] == [("linear", "g"), ("linear", "d.0")]
    assert any("this model cannot run" in note for note in graph.coverage.notes)
    good = load(nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 1)]))
    assert (good.coverage.capture, good.edges) == ("parts", True)
    assert [good.values[n.inputs[1]].parameter for n in good.nodes] == ["0.weight", "1.weight"]
    assert [v.id for v in good.values] == list(range(len(good.values)))


def test_nothing_but_a_parameter_ends_in_the_tree() -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(3))
    assert load(module).coverage.capture == "module tree"


def test_no_parameters_at_all() -> None:
    graph = load(nn.ReLU(), LoadOptions(example=torch.randn(2, 3)))
    assert [n.op for n in graph.nodes] == ["relu"]
    assert graph.parameters == {}
