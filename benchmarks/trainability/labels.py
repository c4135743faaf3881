"""From training scores to labels. The rule is the one that README.md states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from .data import load

LABELS = ("untrainable", "slow", "trainable")

ACCURACY = 0.9
SLOW = 0.5
"""Share of the way from the score of a constant answer to the score that counts as trained."""

EXPLAINED = 0.5
"""Share of the pixels' variance that an autoencoder explains after training."""

OF_LINEAR = 0.9
"""Share of what linear least squares explains of the training targets, for a regression."""


@cache
def goal(data: str) -> float:
    """The training score from which a network on this data counts as trained."""
    found = load(data)
    if found.task == "classes":
        return ACCURACY
    return EXPLAINED if found.task == "image" else OF_LINEAR * linear_score(data)


@cache
def constant(data: str) -> float:
    """The training score of the best answer that does not look at the input."""
    found = load(data)
    if found.task == "classes":
        return float(found.targets.bincount().max()) / len(found.targets)
    return 0.0


def linear_score(data: str) -> float:
    """R squared of linear least squares on the training part."""
    found = load(data)
    inputs, wanted = found.inputs.double().numpy(), found.targets.double().numpy()
    design = np.column_stack([inputs, np.ones(len(inputs))])
    answer = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    return float(1 - ((wanted - answer) ** 2).mean() / wanted.var(0).mean())


def label(value: float, goal: float, constant: float) -> str:
    """The label of one replica from its final training score."""
    if value >= goal:
        return "trainable"
    return "slow" if value >= constant + SLOW * (goal - constant) else "untrainable"


def best(labels: Iterable[str]) -> str:
    """The label at the best rate."""
    return max(labels, key=LABELS.index)


def worst(labels: Iterable[str]) -> str:
    """The label at the worst rate."""
    return min(labels, key=LABELS.index)


def majority(labels: Sequence[str]) -> str:
    """The middle one of an odd number of labels in order."""
    return sorted(labels, key=LABELS.index)[len(labels) // 2]
