"""The data that the networks train on: what ships with scikit-learn, split and scaled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

TASKS = {"digits": "classes", "wine": "classes", "cancer": "classes", "diabetes": "number", "pixels": "image"}
"""`pixels` are the digits again, to be put out as they came in (autoencoders)."""

SCALES = ("standard", "raw", "x255", "x1e-4", "raw target")
"""standard: mean 0, variance 1 over the training part (digits: of all pixels together). raw: as scikit-learn gives it.
x255: non-negative, up to 255, not centred, as an image read from a file. x1e-4: standard, times 1e-4."""

_HELD_OUT = 5
"""Every fifth sample is for testing."""


@dataclass(frozen=True)
class Data:
    """inputs: (samples, features); targets: (samples,) classes, (samples, 1) numbers, or (samples, features)."""

    inputs: torch.Tensor
    targets: torch.Tensor
    test_inputs: torch.Tensor
    test_targets: torch.Tensor
    task: str
    outputs: int


@cache
def load(name: str, scale: str = "standard") -> Data:
    """A data set by name, in the scale asked for."""
    x, y = _read("digits" if name == "pixels" else name)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    held = np.arange(len(x)) % _HELD_OUT == 0
    task = TASKS[name]
    image = name in ("digits", "pixels")
    axis = None if image else 0
    standard = (x - x[~held].mean(axis)) / x[~held].std(axis)
    if scale == "standard" or scale == "raw target":
        inputs = standard
    elif scale == "raw":
        inputs = x
    elif scale == "x255":
        inputs = 255 * (x - x.min(axis)) / (x.max(axis) - x.min(axis))
    elif scale == "x1e-4":
        inputs = 1e-4 * standard
    else:
        raise ValueError(scale)
    if task == "image":
        targets = standard if scale != "raw target" else x
    elif task == "number":
        targets = (y if scale == "raw target" else (y - y[~held].mean()) / y[~held].std())[:, None]
    else:
        targets = y
    whole = torch.tensor(inputs, dtype=torch.float32)
    wanted = torch.tensor(targets, dtype=torch.long if task == "classes" else torch.float32)
    outputs = int(wanted.max()) + 1 if task == "classes" else wanted.shape[1]
    train, test = torch.from_numpy(~held), torch.from_numpy(held)
    return Data(whole[train], wanted[train], whole[test], wanted[test], task, outputs)


def _read(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    read: dict[str, Any] = {
        "digits": datasets.load_digits,
        "wine": datasets.load_wine,
        "cancer": datasets.load_breast_cancer,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }
    found = read[name]()
    return np.asarray(found.data, np.float64), np.asarray(found.target, np.float64)


def loss(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy for classes, mean squared error for numbers."""
    return F.cross_entropy(output, targets) if targets.dtype == torch.long else F.mse_loss(output, targets)


def score(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Accuracy, or the share of the variance that is explained (R squared); outputs (..., samples, n)."""
    if targets.dtype == torch.long:
        right = (output.argmax(-1) == targets).double().mean(-1)
        return torch.where(torch.isfinite(output).all(-1).all(-1), right, torch.zeros_like(right))
    missed = (output.double() - targets.double()).square().mean((-1, -2))
    explained = 1 - missed / targets.double().var(0, unbiased=False).mean()
    return torch.nan_to_num(explained, nan=-1.0, posinf=-1.0, neginf=-1.0).clamp(min=-1.0)
