"""A stored weight seen as independent (out, in, kernel) arrays, whatever its axes and groups."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from initadvisor.graph import Layout
from initadvisor.initializers.draws.deviates import Array


def default_layout(shape: tuple[int, ...]) -> Layout:
    """How a weight is stored where nobody said: (out, in, kernel...), as torch does; a vector is all output."""
    if len(shape) < 2:
        return Layout(tuple(range(len(shape))), ())
    return Layout((0,), (1,))


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The arrays that a stored weight holds: `count` of shape (`out`, `in_`, *`kernel`), one a group or expert.

    `split`, `order` and `shape` are the steps from a stacked (count, out, in, *kernel) array to the stored weight:
    reshape, transpose, reshape.
    """

    count: int
    out: int
    in_: int
    kernel: tuple[int, ...]
    split: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def store(self, stacked: Array) -> Array:
        """The stored weight of a (count, out, in, *kernel) array."""
        return stacked.reshape(self.split).transpose(self.order).reshape(self.shape)

    def stack(self, stored: Array) -> Array:
        """The (count, out, in, *kernel) array of a stored weight: the inverse of `store`."""
        moved = tuple(self.split[axis] for axis in self.order)
        back = np.argsort(self.order)
        return stored.reshape(moved).transpose(back).reshape(self.count, self.out, self.in_, *self.kernel)

    def code(self, expression: str) -> str:
        """Source text that stores the value of `expression`, a (count, out, in, *kernel) array."""
        if self.order == tuple(range(len(self.order))):
            return f"{expression}.reshape({self.shape})"
        return f"{expression}.reshape({self.split}).transpose({self.order}).reshape({self.shape})"


def arrange(shape: tuple[int, ...], layout: Layout) -> Arrangement:
    """Read a stored shape by its layout.

    The groups of a convolution lie in the output axis, those of a transposed convolution in the input axis.
    """
    kernel_axes = layout.kernel_axes(len(shape))
    sides = {axis: [(axis, size)] for axis, size in enumerate(shape)}
    grouped = layout.in_axes if layout.transposed else layout.out_axes
    group = (-1, layout.groups)
    if grouped and layout.groups > 1:
        axis = grouped[0]
        sides[axis] = [group, (axis, shape[axis] // layout.groups)]
    stacked = [
        *(sides[a][-1] for a in layout.batch_axes),
        *([group] if layout.groups > 1 else []),
        *(sides[a][-1] for a in (*layout.out_axes, *layout.in_axes, *kernel_axes)),
    ]
    order = tuple(stacked.index(part) for axis in range(len(shape)) for part in sides[axis])
    return Arrangement(
        count=prod(shape[a] for a in layout.batch_axes) * layout.groups,
        out=prod(sides[a][-1][1] for a in layout.out_axes),
        in_=prod(sides[a][-1][1] for a in layout.in_axes),
        kernel=tuple(shape[a] for a in kernel_axes),
        split=tuple(size for _, size in stacked),
        order=order,
        shape=shape,
    )
