"""Inputs repaired from what a forward pass says when it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from initadvisor.frontends.torch_module import load
from initadvisor.graph import Graph


def input_shape(graph: Graph, name: str = "") -> tuple[int, ...]:
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    return next(graph.values[i].shape for i in graph.inputs if name in ("", graph.values[i].name))


class Checked(nn.Module):
    """A convolution behind a check that words what it wants in its own way."""

    def __init__(self, message: str, unit: int = 0, size: int = 0) -> None:
        super().__init__()
        self.message, self.unit, self.size = message, unit, size
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        width = x.shape[-1]
        if (self.unit and width % self.unit) or (self.size and width != self.size):
            raise ValueError(self.message.format(width=width))
        return self.conv(x)


@pytest.mark.parametrize(
    "message",
    ["`pixels` width {width} is not a multiple of 25.", "Image size must be divisible by 25, got {width}"],
)
def test_the_next_multiple_of_a_unit(message: str) -> None:
    assert input_shape(load(Checked(message, unit=25))) == (2, 3, 225, 225)


@pytest.mark.parametrize(
    "message",
    ["Input height ({width}) doesn't match model (77).", "Image size ({width}*{width}) doesn't match model (77*77)."],
)
def test_the_size_that_the_message_names(message: str) -> None:
    assert input_shape(load(Checked(message, size=77))) == (2, 3, 77, 77)


def test_inputs_do_not_grow_axes_without_end() -> None:
    class Unpacks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            height, width = (1,)  # no input repairs this
            return self.conv(x)[..., height:width]

    graph = load(Unpacks())
    assert graph.coverage.capture == "module tree"
    assert all(note.count(", 1") < 6 for note in graph.coverage.notes)


class Config(SimpleNamespace):
    """What the recorder takes for a transformers configuration."""

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class Documented(nn.Module):
    """Takes patches of a shape that only its documentation tells."""

    main_input_name = "pixel_values"

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.config = Config(model_type="documented", patch_size=4, merge=2, num_channels=3, **settings)
        self.linear = nn.Linear(192, 8)

    @property
    def dummy_inputs(self) -> dict[str, Any]:
        raise NotImplementedError

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""
        pixel_values (`torch.Tensor` of shape `(num_images, patch_size * merge, patch_size * merge, num_channels)`):
            Patches.
        """
        if tuple(pixel_values.shape[1:]) != (8, 8, 3):
            raise ValueError("no")
        return self.linear(pixel_values.flatten(1))


def test_shapes_worked_out_from_the_documentation() -> None:
    graph = load(Documented())
    assert input_shape(graph) == (2, 8, 8, 3)
    assert any("documentation" in e.message for e in graph.events if e.kind == "input")


@pytest.mark.parametrize("size", ["large", {}, [], -1, 1e400])
def test_settings_that_make_no_sense_end_no_search(size: Any) -> None:
    assert load(Documented(image_size=size)).coverage.capture in ("virtual", "module tree")


def test_an_assertion_is_taken_to_hold_however_often_it_is_asked() -> None:
    class Asserts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(20))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
                assert x.isnan().sum() == 0, "not a number"
            return x

    graph = load(Asserts())
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    assert sum(n.op == "linear" for n in graph.nodes) == 20
