"""Bounded samples of a tensor, spread evenly over it: what is costly is measured on these."""

from __future__ import annotations

from math import prod

import numpy as np

from initadvisor.graph import TensorSource

RUN = 256
"""Elements of one contiguous run of a sample: a page's worth and less, so that few pages are touched."""


def element_sample(source: TensorSource, limit: int) -> np.ndarray:
    """At most `limit` elements as a flat array: all of them where there are no more, else evenly spread runs."""
    count = prod(source.shape)
    if count <= limit:
        return whole(source)
    runs = max(limit // RUN, 1)
    stride = count // runs
    part = getattr(source, "part", None)
    if part is None:
        return next(iter(source.chunks(limit))).copy()
    raw = source.raw()
    if raw is not None and raw.strides[0]:
        from initadvisor.frontends.sources import ArraySource

        gathered = raw[: runs * stride].reshape(runs, stride)[:, :RUN]
        return whole(ArraySource(np.ascontiguousarray(gathered).reshape(-1), source.dtype))
    return np.concatenate([whole(part(r * stride, r * stride + RUN)) for r in range(runs)])


def line_sample(source: TensorSource, lines: int, columns: int, *, spread: bool = True) -> np.ndarray:
    """A (lines, columns) sample of the tensor read as a matrix of its leading axis: the start of evenly spread lines.

    `lines` and `columns` are upper limits; a tensor of rank below 2 gives one line. The first lines unless `spread`.
    """
    count = prod(source.shape)
    total = source.shape[0] if len(source.shape) > 1 else min(count, 1)
    if not count:
        return np.zeros((0, 0), np.float32)
    width = count // total
    kept, taken = min(columns, width), min(lines, total)
    part = getattr(source, "part", None)
    if part is None:
        head = next(iter(source.chunks(max(taken * width, 1)))).copy()
        return head[: head.size // width * width].reshape(-1, width)[:taken, :kept]
    if taken == total and kept == width:
        return whole(source).reshape(total, width)
    step = total // taken if spread else 1
    raw = source.raw()
    if raw is not None and raw.strides[0]:
        from initadvisor.frontends.sources import ArraySource

        gathered = raw.reshape(total, width)[: taken * step : step, :kept]
        return whole(ArraySource(np.ascontiguousarray(gathered).reshape(-1), source.dtype)).reshape(taken, kept)
    return np.stack([whole(part(i * step * width, i * step * width + kept)) for i in range(taken)])


def whole(source: TensorSource) -> np.ndarray:
    """All elements of a small source as one flat array of its own."""
    pieces = [piece.copy() for piece in source.chunks(1 << 18)]
    if not pieces:
        return np.zeros(0, np.float32)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
