"""Samples come out of everything that people hold data in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from initadvisor.analysis.batch import gather
from initadvisor.errors import UsageError

X = torch.arange(40.0).reshape(10, 4)
Y = torch.arange(10)


@pytest.mark.parametrize(
    "source",
    [
        (X, Y),
        [X, Y],
        {"input": X, "labels": Y},
        DataLoader(TensorDataset(X, Y), batch_size=3),
        TensorDataset(X, Y),
        [(X[:6], Y[:6]), (X[6:], Y[6:]), (X[:0], Y[:0])],
        ((X[i : i + 1], Y[i : i + 1]) for i in range(10)),
        (X.numpy(), Y.numpy()),
        (X.bfloat16(), Y),
        (X.requires_grad_(False).clone().requires_grad_(), Y),
    ],
    ids=["pair", "list", "dict", "loader", "dataset", "batches", "generator", "arrays", "bfloat16", "gradient"],
)
def test_all_samples_arrive(source: object) -> None:
    samples = gather(source)
    (array,) = samples.inputs.values()
    assert np.array_equal(array.astype(np.float64), X.numpy())
    assert samples.labels is not None
    assert samples.labels.reshape(-1).tolist() == list(range(10))


def test_no_more_than_asked_for_is_taken() -> None:
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield X

    (array,) = gather(endless(), most=25).inputs.values()
    assert len(array) == 25
    assert taken == 3


def test_images_of_another_size_are_left_out_and_counted() -> None:
    samples = gather([torch.zeros(2, 3, 8, 8), torch.zeros(3, 3, 9, 9), torch.zeros(1, 3, 8, 8)])
    assert samples.inputs["input"].shape == (3, 3, 8, 8)
    assert "3 samples" in samples.notes[0]


@pytest.mark.parametrize(
    "source", [None, 3, "text", [], iter(()), {}, {"a": "b"}, np.array(["a"]), [["a"]], torch.zeros(())]
)
def test_what_holds_no_samples_is_refused_with_a_reason(source: object) -> None:
    with pytest.raises(UsageError):
        gather(source)
