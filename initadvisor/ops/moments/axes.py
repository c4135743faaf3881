"""Which axis of a tensor runs over samples, positions and features, kept through reshapes and permutations.

An axis is a tuple of atoms (role, size), outermost first: "B" samples, "P" positions (pixels, tokens, windows), "F"
features (channels, heads). An axis of size 1 has no atoms. A flattened map has axis (("F", 64), ("P", 7), ("P", 7)).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

Atom = tuple[str, int]
Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]

SAMPLES, POSITIONS, FEATURES = "B", "P", "F"


class Counts(NamedTuple):
    """How many elements a set of axes holds in each role."""

    features: int
    positions: int
    samples: int

    @property
    def total(self) -> int:
        """The number of elements."""
        return self.features * self.positions * self.samples


def axis(role: str, size: int) -> Axis:
    """An axis of one role."""
    return ((role, size),) if size > 1 else ()


def size_of(one: Axis) -> int:
    """The number of elements along an axis."""
    return prod(size for _, size in one)


def shape_of(axes: Axes) -> tuple[int, ...]:
    """The shape that these axes make."""
    return tuple(size_of(one) for one in axes)


def count(axes: Iterable[Axis]) -> Counts:
    """Count the elements of some axes by role."""
    numbers = {FEATURES: 1, POSITIONS: 1, SAMPLES: 1}
    for one in axes:
        for role, size in one:
            numbers[role] *= size
    return Counts(numbers[FEATURES], numbers[POSITIONS], numbers[SAMPLES])


def of_input(shape: Sequence[int], batch: int, *, tokens: bool = False) -> Axes:
    """Guess the roles of a model input: samples first; channels second for 3 axes and more of numbers.

    Token ids have positions only. A float input of rank 3 is read as (samples, positions, features).
    """
    if not shape:
        return ()
    first = axis(SAMPLES, shape[0]) if shape[0] == batch else axis(POSITIONS, shape[0])
    rest = list(shape[1:])
    if tokens:
        roles = [POSITIONS] * len(rest)
    elif len(rest) == 2:
        roles = [POSITIONS, FEATURES]
    else:
        roles = [FEATURES, *[POSITIONS] * (len(rest) - 1)]
    return (first, *(axis(role, size) for role, size in zip(roles, rest, strict=False)))


def plain(shape: Sequence[int], role: str = FEATURES) -> Axes:
    """Axes of one role throughout, as of a parameter."""
    return tuple(axis(role, size) for size in shape)


def regroup(axes: Axes, shape: Sequence[int]) -> Axes:
    """The axes of a reshaped tensor: atoms are split and joined in memory order.

    Where the sizes do not fit (a reshape that mixes halves of axes), an axis takes the role of the first atom that
    it covers.
    """
    atoms = [atom for one in axes for atom in one]
    made: list[Axis] = []
    for size in shape:
        taken: list[Atom] = []
        need = size
        while need > 1 and atoms:
            role, have = atoms.pop(0)
            if need % have == 0:
                taken.append((role, have))
                need //= have
            elif have % need == 0:
                taken.append((role, need))
                atoms.insert(0, (role, have // need))
                need = 1
            else:
                return _first_roles(axes, shape)
        if need > 1:
            return _first_roles(axes, shape)
        made.append(tuple(taken))
    return tuple(made) if not atoms else _first_roles(axes, shape)


def _first_roles(axes: Axes, shape: Sequence[int]) -> Axes:
    """Roles by the place in memory where each new axis begins to vary."""
    spans: list[tuple[int, str]] = []
    reach = prod(shape_of(axes))
    for one in axes:
        for role, size in one:
            spans.append((reach, role))
            reach //= size
    made: list[Axis] = []
    reach = prod(shape)
    for size in shape:
        role = next((role for span, role in reversed(spans) if span >= reach), FEATURES)
        made.append(axis(role, size))
        reach //= max(size, 1)
    return tuple(made)


def resized(one: Axis, size: int) -> Axis:
    """The same axis with another number of elements (a slice, a pad, a pooled axis)."""
    if size_of(one) == size:
        return one
    role = dominant(one)
    return axis(role, size)


def dominant(one: Axis) -> str:
    """The role with the most elements of an axis; features where it has none."""
    return max(one, key=lambda atom: atom[1])[0] if one else FEATURES


def normalise_dims(dims: object, rank: int) -> tuple[int, ...]:
    """`dim` as given by a source (one, several, None for all, negative) as sorted axis numbers."""
    if dims is None:
        return tuple(range(rank))
    given = [dims] if isinstance(dims, (int, float)) else list(dims)  # type: ignore[call-overload]
    if not given:
        return tuple(range(rank))
    return tuple(sorted({int(d) % rank for d in given})) if rank else ()
