"""Files from both torch exporters give back the module: its parameter names, paths, values and ties."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from initadvisor.frontends.onnx_model import load
from initadvisor.graph import Graph, Parameter

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
nn = torch.nn

Export = Callable[[str, str], tuple[Graph, "torch.nn.Module"]]


class Residual(nn.Module):
    """Convolutions with norms, a repeated ReLU, a residual sum: the shapes of a ResNet block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layers = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(x + self.layers(x))
        return self.fc(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(10, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.lstm(self.embed(x))
        x, _ = self.gru(x)
        return self.head(x)


class Tied(nn.Module):
    """An embedding read back by the head, one weight in two layers, and one used transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)
        self.b.weight = self.a.weight
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.b(torch.relu(self.a(self.embed(x))))
        return self.head(nn.functional.linear(x, self.a.weight.t()))


class Copied(nn.Module):
    """Two layers with equal values that are no tie, and equal biases and scales all over."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        nn.init.zeros_(first[0].bias)
        self.blocks = nn.ModuleList([first, copy.deepcopy(first)])
        self.proj = nn.Linear(8, 8)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = torch.tanh(block(x))
        return self.proj(x)


class Repeated(nn.Module):
    """One module called twice, beside a module whose name looks like its second call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.act, self.fc_1 = nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc_1(self.act(self.fc(self.act(self.fc(x)))))


class Attention(nn.Module):
    """Parameters that belong to no layer, a mask that is none, and packed projections."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 16) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 6, 16) * 0.02)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.gate = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.full((16,), 1e-4))
        self.register_buffer("mask", torch.triu(torch.full((6, 6), float("-inf")), 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        y = self.norm(x)
        y, _ = self.attention(y, y, y, attn_mask=self.mask, need_weights=False)
        return x + self.gate * (self.scale * y)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[torch.Tensor, ...]]] = {
    "residual": (Residual, (torch.zeros(2, 3, 8, 8),)),
    "recurrent": (Recurrent, (torch.zeros(2, 4, dtype=torch.long),)),
    "tied": (Tied, (torch.zeros(2, 4, dtype=torch.long),)),
    "copied": (Copied, (torch.zeros(2, 8),)),
    "repeated": (Repeated, (torch.zeros(2, 8),)),
    "attention": (Attention, (torch.zeros(2, 5, 16),)),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder: Path = tmp_path_factory.mktemp("exported")
    made: dict[tuple[str, str], tuple[Graph, nn.Module]] = {}

    def export(name: str, exporter: str) -> tuple[Graph, nn.Module]:
        if (name, exporter) not in made:
            build, inputs = MODULES[name]
            torch.manual_seed(0)
            module = build().eval()
            path = folder / f"{name}.{exporter}.onnx"
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                if exporter == "dynamo":
                    torch.onnx.export(module, inputs, path, dynamo=True, external_data=False, verbose=False)
                else:
                    torch.onnx.export(module, inputs, str(path), dynamo=False)
            made[name, exporter] = load(path), module
        return made[name, exporter]

    return export


def _elements(parameter: Parameter) -> np.ndarray:
    assert parameter.source is not None
    return np.concatenate([chunk.copy() for chunk in parameter.source.chunks(1000)]).reshape(parameter.shape)


def _scope(graph: Graph, op: str) -> list[tuple[str, int]]:
    return [(node.scope, node.call) for node in graph.nodes if node.op == op]


BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


@BOTH
@pytest.mark.parametrize("name", MODULES)
def test_names_and_values_are_those_of_the_module(exported: Export, name: str, exporter: str) -> None:
    """Exporters drop zero biases and fold norms; whatever is left carries the module's name and numbers."""
    graph, module = exported(name, exporter)
    state = {key: value.numpy() for key, value in module.state_dict().items() if "num_batches" not in key}
    folded = {key for key in state if "bn1" in key or "layers.1." in key}
    zero = {key for key, value in state.items() if not value.any()}
    names = {alias for parameter in graph.parameters.values() for alias in (parameter.name, *parameter.aliases)}
    assert set(graph.parameters) <= set(state)
    assert set(state) - names <= folded | zero | {"mask"}
    for parameter in (p for p in graph.parameters.values() if not p.buffer):
        found, expected = _elements(parameter), state[parameter.name]
        if found.ndim == expected.ndim == 3:
            expected = np.broadcast_to(expected, found.shape)  # an expand was folded in
        if found.shape != expected.shape or (found.ndim == 2 and not np.allclose(found, expected)):
            found = found.T
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=parameter.name)


@BOTH
def test_folded_norms_are_drawn_again(exported: Export, exporter: str) -> None:
    """The network that will be trained has its norms; an export in evaluation mode hides them."""
    graph, _ = exported("residual", exporter)
    kinds = [node.op for node in graph.nodes if node.op in ("conv", "batch_norm", "relu", "add")]
    assert kinds == ["conv", "batch_norm", "relu", "conv", "batch_norm", "add", "relu"]
    norms = [node for node in graph.nodes if node.op == "batch_norm"]
    assert [node.scope for node in norms] == ["bn1", "layers.1"]
    assert all(node.attrs["folded"] for node in norms)
    assert _scope(graph, "conv") == [("conv1", 0), ("layers.0", 0)]
    assert any(event.kind == "folded_norms" for event in graph.events)


@BOTH
def test_recurrent_layers_have_torchs_weights(exported: Export, exporter: str) -> None:
    graph, module = exported("recurrent", exporter)
    lstm = [node for node in graph.nodes if node.op == "lstm"]
    names = [[graph.values[v].parameter for v in node.inputs[3:]] for node in lstm]
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert names == [
        [f"lstm.{part}_l{level}{side}" for side in ("", "_reverse") for part in parts] for level in range(2)
    ]
    for name in names[1]:
        np.testing.assert_allclose(_elements(graph.parameters[str(name)]), module.state_dict()[name].numpy())


@BOTH
def test_ties_are_one_parameter(exported: Export, exporter: str) -> None:
    graph, _ = exported("tied", exporter)
    matrices = {p.name: {p.name, *p.aliases} for p in graph.parameters.values() if len(p.shape) == 2}
    assert sorted(matrices.values(), key=sorted) == [{"a.weight", "b.weight"}, {"embed.weight", "head.weight"}]
    table = next(name for name, names in matrices.items() if "embed.weight" in names)
    value = next(value.id for value in graph.values if value.parameter == table)
    readers = [node.op for node in graph.nodes if value in node.inputs]
    assert readers[0] == "embedding"
    assert len(readers) == 2


@BOTH
def test_equal_values_are_no_tie(exported: Export, exporter: str) -> None:
    graph, _ = exported("copied", exporter)
    assert {"blocks.0.0.weight", "blocks.1.0.weight"} <= set(graph.parameters)
    assert {f"blocks.{i}.1.weight" for i in range(2)} <= set(graph.parameters)
    assert all(not parameter.aliases for parameter in graph.parameters.values())
    assert any(event.kind == "merged_initializers" for event in graph.events)
    stored = [graph.parameters[f"blocks.{i}.0.weight"] for i in range(2)]
    assert {*stored[0].stored_in, stored[0].name} & {*stored[1].stored_in, stored[1].name}


@BOTH
def test_a_module_called_twice_is_one_module(exported: Export, exporter: str) -> None:
    graph, _ = exported("repeated", exporter)
    assert [scope for scope, _ in _scope(graph, "gemm")] == ["fc", "fc", "fc_1"]
    assert [scope for scope, _ in _scope(graph, "relu")] == ["act", "act"]


@BOTH
def test_loose_parameters_and_masks(exported: Export, exporter: str) -> None:
    graph, _ = exported("attention", exporter)
    trained = {p.name for p in graph.parameters.values() if not p.buffer}
    assert {"token", "position", "gate", "scale", "attention.in_proj_weight", "attention.out_proj.weight"} <= trained
    assert "mask" not in trained


@BOTH
def test_no_local_path_is_carried_along(exported: Export, exporter: str) -> None:
    """The dynamo exporter writes stack traces with local paths into the file; none of them is kept."""
    graph, _ = exported("attention", exporter)
    kept = repr([(n.attrs, n.scope, n.native, n.line) for n in graph.nodes]) + repr(graph.events)
    assert "site-packages" not in kept
    assert __file__ not in kept


def test_a_training_export_with_folded_norms_is_noted(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.drop(self.bn(self.conv(x)))

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        inputs = (torch.zeros(2, 3, 8, 8),)
        torch.onnx.export(Net().train(), inputs, tmp_path / "t.onnx", dynamo=True, external_data=False, verbose=False)
    graph = load(tmp_path / "t.onnx")
    assert [node.op for node in graph.nodes] == ["conv", "batch_norm", "dropout"]
    assert graph.nodes[2].attrs["training"] is True
    assert any(event.kind == "folded_in_training" for event in graph.events)
