"""Digits in the shape that each model takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.compare.data import load_data
from initadvisor.compare.inputs import fit_inputs, shaped
from initadvisor.errors import UsageError
from tests.compare import models

CPU = torch.device("cpu")


class _Large(nn.Module):
    """An image model that insists on its size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 8, stride=8)
        self.head = nn.Linear(4 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(x).flatten(1))


@pytest.mark.parametrize(
    ("factory", "shape", "words"),
    [
        (models.relu, (64,), "reshaped to 64"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), (64,), "reshaped"),
        (models.convolutional, (1, 8, 8), ""),
        (models.LastState, (8, 8), "reshaped to 8x8"),
        (lambda: models.convolutional(3), (3, 32, 32), "enlarged to 32x32 (bilinear); one channel repeated 3 times"),
        (_Large, (3, 32, 32), "enlarged"),
    ],
)
def test_the_first_shape_that_a_model_takes_is_used_and_said(
    factory: Callable[[], nn.Module], shape: tuple[int, ...], words: str
) -> None:
    inputs = fit_inputs(factory(), load_data("digits"), CPU, "model")
    assert inputs.shape == shape
    assert words in "; ".join(inputs.notes)
    assert inputs.fitted(inputs.x[:3]).shape == (3, *shape)


def test_enlarging_keeps_the_image_and_repeats_it_over_channels() -> None:
    x = torch.from_numpy(load_data("digits").x[:5])
    large = shaped(x, (3, 32, 32))
    assert torch.equal(large[:, 0], large[:, 2])
    small = nn.functional.avg_pool2d(large[:, :1], 4)
    assert float(torch.corrcoef(torch.stack([small.flatten(), x.flatten()]))[0, 1]) > 0.9


def test_a_shape_that_is_asked_for_wins_and_an_impossible_one_is_refused() -> None:
    data = load_data("digits")
    assert fit_inputs(models.convolutional(3), data, CPU, "model", (3, 16, 16)).shape == (3, 16, 16)
    with pytest.raises(UsageError, match="cannot be made 3x5"):
        fit_inputs(models.convolutional(3), data, CPU, "model", (3, 5))
    with pytest.raises(UsageError, match="none of the shapes 8x8"):
        fit_inputs(models.relu(), data, CPU, "model", (8, 8))


def test_tokens_go_to_embeddings_as_integers_and_to_linear_layers_as_floats() -> None:
    tokens = np.random.default_rng(0).integers(0, 20, (40, 6))
    data = (tokens, (tokens[:, 0] > 9).astype(int))
    found = initadvisor.compare(models.Bag, data=data, inits="he", steps=2, lr=0.1)
    assert found.data.input_shape == (6,)
    linear = initadvisor.compare(lambda: nn.Linear(6, 2), data=data, inits="he", steps=2, lr=0.001)
    assert linear["he"].status == "trained"


def test_a_stock_image_model_learns_from_digits_without_being_told_how() -> None:
    found = initadvisor.compare("torchvision:squeezenet1_1", inits="default", steps=1, lr=0.001, batch_size=8)
    assert found.data.input_shape == (3, 32, 32)
    assert any("1000 outputs for 10 classes" in note for note in found.data.notes)
