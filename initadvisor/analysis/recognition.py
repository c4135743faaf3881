"""Which architecture a set of named shapes is, a head and a stem of other sizes allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from initadvisor.analysis.prefixes import best_prefixes

Shape = tuple[int, ...]

WIDEST_STEM = 64
"""Input channels up to which a kernel that differs in them alone counts as a stem for other inputs."""

MOST_CHANGED = 4
"""Weights that may differ as heads and stems do: two heads of a network with auxiliary ones, and its stem."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How far a model is a known architecture.

    share: of the weight matrices and kernels of both, those that have a partner of the same shape. exact: all have
    one, or differ as a head or a stem does. differences: these, in words. names: share of the architecture's names.
    """

    share: float
    exact: bool
    names: float
    differences: tuple[str, ...] = ()


def likeness(model: Mapping[str, Shape], known: Mapping[str, Shape]) -> Likeness:
    """Compare the weights of a model with those of an architecture, by shape; vectors and buffers do not count.

    A matrix and its transpose are alike: exporters store linear layers either way.
    """
    mine, theirs = _weights(model), _weights(known)
    left, right = _unpaired(mine, theirs)
    total = len(mine) + len(theirs)
    if not total or not mine or not theirs:
        return Likeness(0.0, False, 0.0)
    differences: list[str] = []
    for name, shape in list(left.items()):
        partner = next((other for other, given in right.items() if _as_head_or_stem(shape, given)), None)
        if partner is not None and len(differences) < MOST_CHANGED:
            theirs_has = _written(right[partner])
            differences.append(f"{name} has {_written(shape)}, {partner} of the architecture {theirs_has}")
            del left[name], right[partner]
    missing_head = not left and len(right) <= 2 and all(name in list(theirs)[-3:] for name in right)
    if missing_head:
        differences += [f"{name} {_written(shape)} of the architecture is left out" for name, shape in right.items()]
    share = 1.0 - (len(left) + (0 if missing_head else len(right))) / total
    strip, add = best_prefixes(model, known)
    found = sum(_moved(name, strip, add) in known for name in model)
    exact = not left and (missing_head or not right)
    return Likeness(share, exact, found / max(len(known), 1), tuple(differences))


def _moved(name: str, strip: str, add: str) -> str:
    return add + name[len(strip) :] if name.startswith(strip) else name


def _weights(entries: Mapping[str, Shape]) -> dict[str, Shape]:
    return {name: shape for name, shape in entries.items() if len(shape) >= 2 and not name.endswith("_index")}


def _alike(shape: Shape) -> Shape:
    return tuple(sorted(shape)) if len(shape) == 2 else shape


def _unpaired(mine: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> tuple[dict[str, Shape], dict[str, Shape]]:
    shared = Counter(map(_alike, mine.values())) & Counter(map(_alike, theirs.values()))
    return _without(mine, shared), _without(theirs, shared)


def _without(entries: Mapping[str, Shape], shared: Counter[Shape]) -> dict[str, Shape]:
    open_, left = Counter(shared), {}
    for name, shape in entries.items():
        if open_[_alike(shape)] > 0:
            open_[_alike(shape)] -= 1
        else:
            left[name] = shape
    return left


def _as_head_or_stem(one: Shape, other: Shape) -> bool:
    if len(one) != len(other):
        return False
    if len(one) == 2:
        return len(set(one) & set(other)) == 1
    head = one[1:] == other[1:]
    stem = one[0] == other[0] and one[2:] == other[2:] and max(one[1], other[1]) <= WIDEST_STEM
    return head or stem


def _written(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))
