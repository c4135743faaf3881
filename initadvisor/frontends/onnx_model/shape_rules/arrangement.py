"""Shapes behind operators that keep the elements and arrange, cut, join or repeat them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from initadvisor.frontends.onnx_model.shape_rules.rule import Attrs, Shapes
from initadvisor.graph import Shape


def sliced(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The input with the axes in `dim` cut to start, end and step."""
    if inputs[0] is None:
        return None
    out = list(inputs[0])
    for start, end, dim, step in zip(attrs["start"], attrs["end"], attrs["dim"], attrs["step"], strict=True):
        size = out[dim]
        if size is not None:
            stop = None if step < 0 and end < -size else end
            out[dim] = len(range(*slice(start, stop, step).indices(size)))
    return tuple(out)


def reshape(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The wanted sizes; -1 is worked out where the input is known, a 0 is not."""
    target, whole = attrs["shape"], inputs[0]
    if -1 not in target:
        return None if 0 in target else tuple(target)
    if whole is None or None in whole or 0 in target:
        return tuple(None if size in (-1, 0) else size for size in target)
    rest = prod(size for size in target if size != -1)
    return tuple(prod(s for s in whole if s is not None) // rest if size == -1 else size for size in target)


def flatten(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(product of the axes before `start_dim`, product of the rest)."""
    if inputs[0] is None:
        return None
    at = attrs["start_dim"]
    parts = (inputs[0][:at], inputs[0][at:])
    return tuple(None if None in part else prod(s for s in part if s is not None) for part in parts)


def permute(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The axes in the order of `dims`."""
    return None if inputs[0] is None else tuple(inputs[0][dim] for dim in attrs["dims"])


def squeeze(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The input without the axes in `dim`, or without all of size 1."""
    if inputs[0] is None:
        return None
    dims = attrs["dim"]
    if dims is None:
        return None if None in inputs[0] else tuple(size for size in inputs[0] if size != 1)
    gone = {dim % len(inputs[0]) for dim in dims}
    return tuple(size for axis, size in enumerate(inputs[0]) if axis not in gone)


def unsqueeze(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The input with axes of size 1 at the places in `dim`."""
    if inputs[0] is None:
        return None
    rank = len(inputs[0]) + len(attrs["dim"])
    out = list(inputs[0])
    for dim in sorted({dim % rank for dim in attrs["dim"]}):
        out.insert(dim, 1)
    return tuple(out)


def cat(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The sum of the sizes along `dim`; the others from the first input that knows them."""
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len({len(shape) for shape in shapes}) > 1:
        return None
    dim = attrs["dim"] % len(shapes[0])
    out = [next((shape[axis] for shape in shapes if shape[axis] is not None), None) for axis in range(len(shapes[0]))]
    along = [None if shape is None else shape[dim] for shape in inputs]
    out[dim] = None if None in along else sum(size for size in along if size is not None)
    return tuple(out)


def split(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """One shape for each of the sizes along `dim`."""
    data, sizes = inputs[0], attrs["split_size_or_sections"]
    if data is None:
        return ()
    dim = attrs["dim"] % len(data)
    return [(*data[:dim], size, *data[dim + 1 :]) for size in sizes]


def repeat(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """Each size times its repeats."""
    if inputs[0] is None:
        return None
    return tuple(None if s is None else s * n for s, n in zip(inputs[0], attrs["repeats"], strict=True))


def pad(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """Each size with what is put before and behind it."""
    pads = attrs.get("pads", attrs.get("paddings"))
    if inputs[0] is None or pads is None:
        return None
    out, axes = list(inputs[0]), attrs.get("axes") or range(len(inputs[0]))
    for axis, begin, end in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        size = out[axis]
        out[axis] = None if size is None else size + begin + end
    return tuple(out)


def pixel(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch, channels / factor^2, height * factor, width * factor), or the other way round."""
    factor = attrs.get("upscale_factor")
    if inputs[0] is None:
        return None
    batch, channels, height, width = inputs[0]
    up, down = (factor, 1) if factor else (1, attrs["downscale_factor"])
    area = None if channels is None else channels * down * down // (up * up)
    return batch, area, *(None if size is None else size * up // down for size in (height, width))
