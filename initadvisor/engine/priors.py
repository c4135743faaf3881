"""The head's bias from the labels: the start at which the loss is no more than what the class frequencies leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from initadvisor.errors import NotFoundError, UsageError
from initadvisor.initializers import InitSpec
from initadvisor.plan import Override

if TYPE_CHECKING:
    from initadvisor.graph import Graph, Layer

FOCAL = 0.01
"""The prior of RetinaNet's classification outputs (Lin et al. 2017, arXiv 1708.02002, section 4.1)."""


@dataclass(frozen=True, slots=True)
class ClassPrior:
    """What is known of the classes.

    counts: samples of each class, or of each output where `independent` (several labels a sample). total: samples.
    focal: the probability at which every output is to start, whatever the counts.
    """

    counts: tuple[float, ...] = ()
    total: float = 0.0
    independent: bool = False
    focal: float | None = None


def prior_of(
    labels: Any = None,
    class_counts: Sequence[float] | None = None,
    prior: Literal["class", "focal"] | float | None = None,
) -> ClassPrior | None:
    """What the caller said about the classes, None where nothing; raises UsageError where it cannot be used."""
    if labels is not None and class_counts is not None:
        raise UsageError("labels and class counts say the same thing twice", hint="give one of them")
    if prior is not None and prior != "class":
        focal = FOCAL if prior == "focal" else prior
        if isinstance(focal, bool) or not isinstance(focal, int | float) or not 0.0 < focal < 1.0:
            raise UsageError(f"a prior is a probability, not {prior!r}", hint='"class", "focal", or such as 0.01')
        return ClassPrior(focal=float(focal))
    if class_counts is not None:
        counts = tuple(float(count) for count in class_counts)
        if len(counts) < 2 or not all(np.isfinite(counts)) or min(counts) < 0 or sum(counts) == 0:
            raise UsageError(f"{list(class_counts)} are no samples of at least two classes")
        return ClassPrior(counts, sum(counts))
    if labels is not None:
        return _counted(labels)
    if prior == "class":
        raise UsageError("the frequencies of the classes are not known", hint="give labels or class_counts")
    return None


def labels_in(file: Path) -> Any:
    """Labels of a .npy file, or of a text file with one class number a line (a row of 0 and 1 for several labels)."""
    try:
        if file.suffix.lower() == ".npy":
            return np.load(file, allow_pickle=False)
        return np.loadtxt(file, delimiter=",", ndmin=1)
    except OSError as error:
        raise NotFoundError(f"cannot read the labels {file}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise UsageError(f"{file} holds no labels: {error}", hint="one class number a line, or a .npy file") from error


def prior_overrides(graph: Graph, prior: ClassPrior | None) -> tuple[Override, ...]:
    """The head's bias as the user's decision; raises UsageError where no head takes it."""
    if prior is None:
        return ()
    heads = [layer for layer in graph.layers if layer.role == "head" and layer.kind == "linear"]
    with_bias = [(layer, graph.parameters[layer.bias].shape) for layer in heads if layer.bias]
    if not with_bias:
        what = "whose bias could hold it" if heads else "that could hold it"
        raise UsageError(
            f"{graph.target} has no head {what}", hint="give the last layer a bias, or check from the whole model"
        )
    fitting = [(layer, spec) for layer, shape in with_bias if (spec := _spec(prior, shape)) is not None]
    if not fitting:
        sizes = ", ".join(f"{layer.name}: {shape[0] if shape else 0}" for layer, shape in with_bias)
        raise UsageError(
            f"the labels have {len(prior.counts)} classes, and no head has as many outputs ({sizes})",
            hint="count every class of the head, those without a sample as 0",
        )
    return tuple(Override(escape(str(layer.bias)), spec, _reason(prior, layer)) for layer, spec in fitting)


def _spec(prior: ClassPrior, shape: tuple[int, ...]) -> InitSpec | None:
    """The initializer of a bias of that shape, None where it has another number of outputs."""
    if prior.focal is not None:
        return InitSpec("focal_prior", {"prior": prior.focal})
    if prior.independent:
        return InitSpec("base_rate", {"rates": _rates(prior)}) if shape == (len(prior.counts),) else None
    if shape == (1,) and len(prior.counts) == 2:
        negative, positive = _smoothed(prior.counts)
        return InitSpec("focal_prior", {"prior": positive / (negative + positive)})
    return InitSpec("class_prior", {"priors": _smoothed(prior.counts)}) if shape == (len(prior.counts),) else None


def _smoothed(counts: Sequence[float]) -> list[float]:
    """Counts, each with one more sample where a class has none: its log would be infinite."""
    return [count + 1.0 for count in counts] if min(counts) == 0 else list(counts)


def _rates(prior: ClassPrior) -> list[float]:
    edge = any(count in (0.0, prior.total) for count in prior.counts)
    return [(count + edge) / (prior.total + 2 * edge) for count in prior.counts]


def _reason(prior: ClassPrior, layer: Layer) -> str:
    if prior.focal is not None:
        return f"each output starts at probability {prior.focal:g}, as a focal loss needs it"
    kind = "logits of the outputs' base rates" if prior.independent else "log of the classes' frequencies"
    return f"{kind} in {prior.total:g} labels: the loss starts at what the frequencies leave"


def _counted(labels: Any) -> ClassPrior:
    counts, total, independent = np.zeros(0), 0, False
    for part in _label_arrays(labels):
        if part.ndim == 2 and part.shape[1] == 1:
            part = part[:, 0]
        if part.ndim not in (1, 2) or part.dtype.kind not in "iufb" or not np.isfinite(part).all():
            raise UsageError(
                f"labels of shape {part.shape} and type {part.dtype} are no class numbers",
                hint="class numbers from 0, or a row of 0 and 1 for each sample",
            )
        independent = part.ndim == 2
        if independent and not np.isin(part, (0, 1)).all():
            raise UsageError("labels in rows hold other values than 0 and 1", hint="give class numbers, or 0 and 1")
        if not independent and (np.any(part < 0) or np.any(part != np.floor(part)) or np.any(part > 1_000_000)):
            raise UsageError("labels are no class numbers from 0", hint="leave out ignored ones, such as -100")
        found = part.sum(0) if independent else np.bincount(part.astype(np.int64)).astype(np.float64)
        size = max(len(counts), len(found))
        counts = np.pad(counts, (0, size - len(counts))) + np.pad(found, (0, size - len(found)))
        total += len(part)
    if not total:
        raise UsageError("there is no label", hint="give the labels of the training set")
    if not independent and len(counts) < 2:
        raise UsageError("all labels are class 0", hint="give labels of every class, or class_counts")
    return ClassPrior(tuple(float(c) for c in counts), float(total), independent)


def _label_arrays(labels: Any) -> Iterator[np.ndarray]:
    """The labels of an array, of (inputs, labels), or of all batches of a loader."""
    if isinstance(labels, Mapping):
        found = next((labels[key] for key in ("labels", "label", "targets", "target", "y") if key in labels), None)
        if found is None:
            raise UsageError("the batch has no labels by name", hint='call them "labels"')
        yield _array(found)
    elif hasattr(labels, "shape"):
        yield _array(labels)
    elif isinstance(labels, tuple | list) and len(labels) == 2 and all(hasattr(part, "shape") for part in labels):
        yield _array(labels[1])
    elif isinstance(labels, tuple | list) and all(isinstance(each, int | float | list) for each in labels):
        yield np.asarray(labels)
    elif isinstance(labels, Iterable):
        for batch in labels:
            yield from _label_arrays(batch)
    else:
        raise UsageError(f"{type(labels).__name__} holds no labels", hint="give an array, a batch or a loader")


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)
