"""How a stored tensor is cut into output rows (filters, units, table entries), without copying it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from initadvisor.graph import Layout


@dataclass(frozen=True, slots=True)
class RowView:
    """The tensor as an (outer, rows, inner) array in storage order: row r is all elements [:, r, :]."""

    outer: int
    rows: int
    inner: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.outer * self.rows * self.inner

    @property
    def length(self) -> int:
        """The number of elements of one row."""
        return self.outer * self.inner

    @property
    def line(self) -> int:
        """Elements of one step of the leading stored axis of the view: what a block of a stream is a multiple of."""
        return self.inner if self.outer == 1 else self.rows * self.inner


def row_view(shape: tuple[int, ...], axes: tuple[int, ...]) -> RowView:
    """Rows along `axes` of a tensor; one single row where there are none.

    Axes that are not neighbours in storage cannot be one row axis: the last run of neighbours is taken.
    """
    kept = [a for a in sorted(axes) if 0 <= a < len(shape)]
    if not kept:
        return RowView(1, 1, prod(shape))
    first = len(kept) - 1
    while first and kept[first - 1] == kept[first] - 1:
        first -= 1
    low, high = kept[first], kept[-1]
    return RowView(prod(shape[:low]), prod(shape[low : high + 1]), prod(shape[high + 1 :]))


def row_axes(layout: Layout | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that number the output rows of a weight; the entries of a table; axis 0 where no layout is known."""
    if layout is None:
        return (0,) if len(shape) > 1 else ()
    if not layout.in_axes and layout.batch_axes:
        return layout.batch_axes
    return (*layout.batch_axes, *layout.out_axes)
