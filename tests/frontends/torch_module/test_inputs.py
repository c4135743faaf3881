"""Example inputs: the caller's in every form, or inferred; what was assumed is an event."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.graph import Graph


def assumed(graph: Graph) -> str:
    (event,) = [e for e in graph.events if e.kind == "input"]
    return event.message


def test_a_data_loader_gives_its_first_batch_without_the_labels() -> None:
    data = TensorDataset(torch.randn(8, 4), torch.zeros(8, dtype=torch.long))
    graph = load(nn.Linear(4, 2), LoadOptions(example=DataLoader(data, batch_size=3)))
    assert graph.values[graph.inputs[0]].shape == (3, 4)
    assert "example" in assumed(graph)


def test_surplus_keys_of_a_batch_are_left_out() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x)

    graph = load(Model(), LoadOptions(example={"x": torch.randn(3, 4), "label": torch.zeros(3)}))
    assert graph.coverage.capture == "virtual"


def test_shapes_from_the_caller() -> None:
    graph = load(nn.Conv2d(3, 4, 3), LoadOptions(input_shapes=((5, 3, 17, 19),)))
    assert graph.values[graph.inputs[0]].shape == (5, 3, 17, 19)
    assert "shapes" in assumed(graph)


def test_shapes_of_a_model_that_embeds_its_input_become_tokens() -> None:
    graph = load(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), LoadOptions(input_shapes=((3, 7),)))
    assert graph.values[graph.inputs[0]].shape == (3, 7)
    assert graph.values[graph.inputs[0]].dtype == "int64"


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(7, 2), (2, 7)),
        (nn.Conv1d(5, 2, 3), (2, 5, 224)),
        (nn.LSTM(6, 2, batch_first=True), (2, 16, 6)),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), (2, 3072)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 4)), (2, 1, 28, 28)),
    ],
    ids=["linear", "conv1d", "lstm", "flat", "size from the head"],
)
def test_inferred_shapes(module: nn.Module, shape: tuple[int, ...]) -> None:
    graph = load(module)
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    assert graph.values[graph.inputs[0]].shape == shape
    assert "signature" in assumed(graph)


def test_shapes_of_several_inputs_features_and_tokens() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.tokens = nn.Linear(5, 4), nn.Embedding(10, 4)

        def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            return self.features(x) + self.tokens(ids)

    graph = load(Pair(), LoadOptions(input_shapes=((7, 5), (7,))))
    assert [(graph.values[i].shape, graph.values[i].dtype) for i in graph.inputs] == [
        ((7, 5), "float32"),
        ((7,), "int64"),
    ]
