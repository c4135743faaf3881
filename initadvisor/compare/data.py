"""The data that short runs learn: small sets that ship with scikit-learn, or arrays. Nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from initadvisor.compare.arrays import read_arrays
from initadvisor.compare.model import Task
from initadvisor.errors import FormatError, LimitError, MissingExtraError, NotFoundError, UsageError

HELD_OUT = 0.25
"""Share of the samples that no run trains on."""

SPLIT_SEED = 0
FEWEST = 8
"""Samples under which there is nothing to hold out."""

MOST_CLASSES = 10_000

NAMED = {
    "digits": "load_digits",
    "wine": "load_wine",
    "breast-cancer": "load_breast_cancer",
    "diabetes": "load_diabetes",
}
IMAGES = {"digits": (1, 8, 8)}


@dataclass(frozen=True, slots=True)
class Data:
    """Samples x features, split once for all runs; labels are int64, regression targets float32 of shape (n, outputs).

    image: the samples are channels x height x width and may be resized.
    """

    name: str
    task: Task
    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray
    classes: int | None
    image: bool
    notes: tuple[str, ...] = ()

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.x.shape[1:])


def load_data(given: Any) -> Data:
    """The data of a name ("digits"), a file (.npz or .safetensors with x and y), or a pair of arrays.

    Named sets are standardized: images by one mean and deviation, tables by column, both of the training part.
    Files and arrays are taken as they are. Raises a LoadError for a file that is damaged, unsafe or too large, and
    UsageError for arrays that do not go together.
    """
    if isinstance(given, Data):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        return _split("given arrays", _array(given[0]), _array(given[1]), standardize=False)
    if not isinstance(given, str | os.PathLike):
        raise UsageError(
            f"the data is a {type(given).__name__}", hint='give a name such as "digits", a file, or a pair (x, y)'
        )
    name = os.fspath(given)
    if name in NAMED:
        return _named(name)
    path = Path(name)
    if path.suffix not in (".npz", ".safetensors") and not path.exists():
        from initadvisor.rules.suggest import did_you_mean

        hint = did_you_mean(name, NAMED) or f"the names are {', '.join(NAMED)}; a file is .npz or .safetensors"
        raise NotFoundError(f'there is no data "{name}"', hint=hint)
    x, y = read_arrays(path)
    return _split(path.name, x, y, standardize=False)


def _named(name: str) -> Data:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError(f'the data "{name}"', "compare") from error
    load: Callable[..., Any] = getattr(datasets, NAMED[name])
    x, y = load(return_X_y=True)
    shape = IMAGES.get(name)
    x = x.reshape(len(x), *shape) if shape else x
    y = y.astype(np.int64) if name != "diabetes" else y
    return _split(name, x, y, standardize=True)


def _array(given: Any) -> np.ndarray:
    """An array of what the caller holds, torch tensors included."""
    detach = getattr(given, "detach", None)
    array = np.asarray(detach().cpu() if callable(detach) else given)
    if array.dtype.hasobject or array.dtype.kind not in "biuf":
        raise UsageError(f"an array of {array.dtype} holds no numbers to train on")
    return array


def _split(name: str, x: np.ndarray, y: np.ndarray, standardize: bool) -> Data:
    """Check that samples and targets go together, shuffle them once, and set the last quarter aside."""
    _check(name, x, y)
    notes: list[str] = []
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    kept = len(x) - max(1, round(HELD_OUT * len(x)))
    x = x[order].astype(np.int64 if x.dtype.kind in "bui" and not standardize and x.ndim == 2 else np.float32)
    y = y[order]
    if y.dtype.kind in "biu":
        y = (y[:, 0] if y.ndim == 2 else y).astype(np.int64)
        task: Task = "classification"
        classes = int(y.max()) + 1
    else:
        y = (y[:, None] if y.ndim == 1 else y).astype(np.float32)
        task, classes = "regression", None
    image = x.ndim == 4
    if standardize:
        axes = None if image else 0
        mean, std = x[:kept].mean(axes), x[:kept].std(axes)
        x = (x - mean) / np.where(std > 0, std, 1.0)
        notes.append("inputs standardized " + ("by one mean and deviation" if image else "by column"))
        if task == "regression":
            y = (y - y[:kept].mean(0)) / y[:kept].std(0)
            notes.append("targets standardized")
    x = np.ascontiguousarray(x)
    return Data(name, task, x[:kept], y[:kept], x[kept:], y[kept:], classes, image, tuple(notes))


def _check(name: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim < 2 or not prod(x.shape[1:]):
        raise FormatError(f"{name}: x has the shape {list(x.shape)}", hint="it is samples first, then their features")
    if len(x) != len(y):
        raise FormatError(f"{name}: x has {len(x)} samples and y has {len(y)}")
    if len(x) < FEWEST:
        raise FormatError(f"{name}: {len(x)} samples are too few to train on and hold some out; {FEWEST} are needed")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise FormatError(
            f"{name}: {bad} value{'s' * (bad != 1)} of x are NaN or infinite: every run would fail on them"
        )
    if y.dtype.kind == "f":
        if y.ndim > 2:
            raise FormatError(f"{name}: y has the shape {list(y.shape)}", hint="float targets are (n,) or (n, outputs)")
        if not np.isfinite(y).all():
            raise FormatError(f"{name}: y holds NaN or infinite values")
        return
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1):
        raise FormatError(f"{name}: y has the shape {list(y.shape)}", hint="labels are (n,)")
    if int(y.min()) < 0:
        raise FormatError(f"{name}: y holds the label {int(y.min())}", hint="labels are 0, 1, 2 ...")
    if int(y.max()) >= MOST_CLASSES:
        raise LimitError(f"{name}: y holds the label {int(y.max())}; at most {MOST_CLASSES} classes are compared")
