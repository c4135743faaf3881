"""Inputs repaired from what a forward pass says when it fails."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from initadvisor.frontends.torch_module import load
from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.forward import record
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


class Frames(nn.Module):
    """A mask of frames that has to be as long as the frames, behind a context that runs operators while it unwinds."""

    main_input_name = "input_features"

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(model_type="frames", num_mel_bins=8)
        self.conv, self.flag = nn.Conv1d(1, 4, 3), nn.Linear(8, 8)

    def forward(self, input_features: torch.Tensor, input_features_mask: torch.Tensor) -> torch.Tensor:
        return self.flag(input_features) * input_features_mask[..., None]


def test_a_mask_gets_the_length_of_what_it_masks() -> None:
    graph = load(Frames())
    assert input_shape(graph, "input_features_mask") == (2, 100)


class Unwinds(nn.Module):
    """A waveform without a channel axis, in a context that runs operators on its way out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.state = nn.Conv1d(1, 4, 3), nn.Linear(4, 4)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.state(torch.zeros(2, 4))

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        if input_values.dim() > 3:
            raise TypeError("no")
        with self:
            return self.conv(input_values)


def test_operators_that_run_after_a_failure_do_not_hide_it() -> None:
    with pytest.raises(ForwardFailed) as failed:
        record(Unwinds(), [torch.zeros(2, 16000)], {})
    assert failed.value.call is not None
    assert failed.value.call.op == "conv"


def test_an_error_of_python_code_is_not_put_down_to_an_operator_that_failed_before() -> None:
    class Falls(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with contextlib.suppress(RuntimeError):
                x = x @ torch.zeros(99, 99)
            return {}["missing"]

    with pytest.raises(ForwardFailed) as failed:
        record(Falls(), [torch.zeros(2, 3)], {})
    assert failed.value.call is None


class Choices(nn.Module):
    """Several choices for every sequence, as its documentation says."""

    main_input_name = "input_ids"

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(model_type="choices", vocab_size=50)
        self.embedding, self.score = nn.Embedding(50, 8), nn.Linear(8, 1)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        r"""
        input_ids (`torch.LongTensor` of shape `(batch_size, num_choices, sequence_length)`):
            Tokens.
        """
        count, length = input_ids.shape[1], input_ids.shape[-1]
        logits = self.score(self.embedding(input_ids.view(-1, length)).mean(1))
        return logits.view(-1, count)


def test_documented_axes_that_a_guess_lacks_are_added() -> None:
    assert input_shape(load(Choices())) == (2, 2, 16)


def test_a_batch_of_one_where_more_are_refused() -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[0] > 1:
                raise ValueError("Cannot handle batch sizes > 1 if no padding token is defined.")
            return self.linear(x)

    assert input_shape(load(One())) == (1, 4)
