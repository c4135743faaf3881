"""Shapes behind look-ups by index, and behind what sums or chooses along axes."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.frontends.onnx_model.shape_rules.rule import Attrs, Shapes
from initadvisor.graph import Shape


def embedding(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(indices ..., width)."""
    indices, table = inputs[0], inputs[1]
    return None if indices is None or table is None else (*indices, *table[1:])


def index_select(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The indices in the place of the axis `dim`."""
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None:
        return None
    dim = attrs["dim"] % len(data)
    return (*data[:dim], *indices, *data[dim + 1 :])


def gather_nd(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The indices without their last axis, which names as many axes of the data as it is long."""
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None or indices[-1] is None:
        return None
    batch = attrs.get("batch_dims", 0)
    if not 0 <= batch <= batch + indices[-1] <= len(data):
        return None
    return (*indices[:-1], *data[batch + indices[-1] :])


def one_hot(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The input with an axis of classes at `dim`."""
    if inputs[0] is None:
        return None
    dim = attrs.get("dim", -1) % (len(inputs[0]) + 1)
    return (*inputs[0][:dim], attrs.get("num_classes"), *inputs[0][dim:])


def reduce(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The input without the axes in `dim` (None: all), or with size 1 there."""
    data, dims = inputs[0], attrs["dim"]
    if data is None:
        return None
    dims = range(len(data)) if dims is None else (dims,) if isinstance(dims, int) else dims
    gone = {dim % len(data) for dim in dims}
    if attrs.get("keepdim"):
        return tuple(1 if axis in gone else size for axis, size in enumerate(data))
    return tuple(size for axis, size in enumerate(data) if axis not in gone)


def topk(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """The input with `k` elements along `dim`, for the values and their places."""
    if inputs[0] is None:
        return ()
    out = list(inputs[0])
    out[attrs.get("dim", -1)] = attrs["k"]
    return [tuple(out)] * count
