"""Arrangement of elements: views, permutations, joins, parts."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, given, implements, number, numbers


@implements("Reshape")
def reshape(call: Call, x: Any, shape: Any = None) -> Any:
    """Another shape; 0 keeps a size unless `allowzero`, -1 stands for the rest."""
    wanted = given(call, "shape", shape) or []
    if not call.attr("allowzero", 0):
        wanted = [x.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    return x.reshape(wanted)


@implements("Flatten")
def flatten(call: Call, x: Any) -> Any:
    """A matrix whose columns are all axes from `axis` on."""
    axis = call.attr("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(x.shape[:axis].numel(), x.shape[axis:].numel())


@implements("Transpose")
def transpose(call: Call, x: Any) -> Any:
    """Axes in another order, by default the reverse."""
    return x.permute(call.attr("perm") or tuple(reversed(range(x.dim()))))


@implements("Squeeze")
def squeeze(call: Call, x: Any, axes: Any = None) -> Any:
    """Axes of size one removed."""
    wanted = given(call, "axes", axes)
    return x.squeeze() if wanted is None else x.squeeze(tuple(wanted))


@implements("Unsqueeze")
def unsqueeze(call: Call, x: Any, axes: Any = None) -> Any:
    """Axes of size one added, counted in the result."""
    wanted = given(call, "axes", axes) or []
    rank = x.dim() + len(wanted)
    for axis in sorted(axis + rank if axis < 0 else axis for axis in wanted):
        x = x.unsqueeze(axis)
    return x


@implements("Concat")
def concat(call: Call, *inputs: Any) -> Any:
    """Tensors joined along an axis."""
    axis = call.attr("axis", 1)
    first = inputs[0]
    if first.dim():
        whole = list(first.shape)
        whole[axis] = sum(part.shape[axis] for part in inputs)
        call.allow(whole, first.element_size())
    return torch.cat(inputs, axis)


@implements("Split")
def split(call: Call, x: Any, sizes: Any = None) -> Any:
    """Parts of an axis, of given sizes or as many equal ones as there are outputs (the last may be smaller)."""
    axis = call.attr("axis", 0)
    wanted = given(call, "split", sizes)
    if wanted is None:
        count = call.attr("num_outputs", call.outputs)
        size = -(-x.shape[axis] // count)
        wanted = [min(size, max(x.shape[axis] - at * size, 0)) for at in range(count)]
    return tuple(torch.split(x, wanted, axis))


@implements("Slice")
def slice_(call: Call, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    """A part of the elements along some axes, backwards where the step is negative."""
    first, last = given(call, "starts", starts) or [], given(call, "ends", ends) or []
    along = given(call, "axes", axes) or list(range(len(first)))
    stride = given(call, "", steps) or [1] * len(first)
    for begin, end, axis, step in zip(first, last, along, stride, strict=True):
        size = x.shape[axis]
        if step > 0:
            start, stop, _ = slice(begin, end, step).indices(size)
            picks = [slice(None)] * x.dim()
            picks[axis] = slice(start, max(stop, start), step)
            x = x[tuple(picks)]
            continue
        stop = None if end < -size else end  # type: ignore[assignment]
        places = range(*slice(begin, stop, step).indices(size))
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
    return x


@implements("Expand")
def expand(call: Call, x: Any, shape: Any) -> Any:
    """Broadcast to a shape; sizes of one in it keep those of the input."""
    wanted = [int(n) for n in numbers(shape)]
    rank = max(len(wanted), x.dim())
    wanted = [1] * (rank - len(wanted)) + wanted
    own = [1] * (rank - x.dim()) + list(x.shape)
    sizes = [have if want == 1 else want for have, want in zip(own, wanted, strict=True)]
    call.allow(sizes, x.element_size())
    return x.expand(sizes)


@implements("Tile")
def tile(call: Call, x: Any, repeats: Any, axis: Any = None) -> Any:
    """The tensor repeated along each axis; before version 6 along one."""
    times = [int(n) for n in numbers(repeats)]
    if call.opset < 6 and axis is not None:
        one, times = times[0], [1] * x.dim()
        times[int(number(axis))] = one
    call.allow([size * count for size, count in zip(x.shape, times, strict=True)], x.element_size())
    return x.repeat(times)


@implements("Pad")
def pad(call: Call, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    """Elements added around: a constant, the edge, the mirror image or the other end; negative amounts crop."""
    amounts = given(call, "paddings" if call.opset < 2 else "pads", pads) or []
    along = given(call, "", axes)
    along = list(range(x.dim())) if along is None else [axis % x.dim() for axis in along]
    half = len(amounts) // 2
    pairs = {axis: (amounts[at], amounts[at + half]) for at, axis in enumerate(along)}
    fill = number(value, call.attr("value", 0.0))
    sizes = [max(size + sum(pairs.get(axis, (0, 0))), 0) for axis, size in enumerate(x.shape)]
    call.allow(sizes, x.element_size())
    mode = call.attr("mode", "constant")
    for axis, (begin, end) in pairs.items():
        x = _cropped(x, axis, begin, end)
        begin, end = max(begin, 0), max(end, 0)
        if begin or end:
            x = _extended(x, axis, begin, end, mode, fill)
    return x


def _cropped(x: Any, axis: int, begin: int, end: int) -> Any:
    start, less = max(-begin, 0), max(-end, 0)
    return x.narrow(axis, start, max(x.shape[axis] - start - less, 0)) if start or less else x


def _extended(x: Any, axis: int, begin: int, end: int, mode: str, fill: float) -> Any:
    size = x.shape[axis]
    if mode == "constant":
        shape = list(x.shape)
        parts = []
        for amount, at in ((begin, 0), (end, 2)):
            shape[axis] = amount
            parts.append((at, torch.full(shape, fill, dtype=x.dtype, device=x.device)))
        return torch.cat([part for _, part in sorted([*parts, (1, x)], key=lambda pair: pair[0])], axis)
    places = torch.arange(-begin, size + end, device=x.device)
    if mode == "edge":
        places = places.clamp(0, size - 1)
    elif mode == "wrap":
        places = places % size
    elif mode == "reflect":
        period = max(2 * (size - 1), 1)
        places = places.abs() % period
        places = torch.where(places >= size, period - places, places)
    else:
        raise FormatError(f"padding of mode {mode!r} is not known")
    return x.index_select(axis, places)


@implements("Shape")
def shape(call: Call, x: Any) -> Any:
    """The sizes, or a part of them; on the host, where they are needed."""
    sizes = list(x.shape)
    first, last = call.attr("start", 0), call.attr("end", len(sizes))
    return torch.tensor(sizes[slice(*slice(first, last).indices(len(sizes)))], dtype=torch.int64)


@implements("Size")
def size(call: Call, x: Any) -> Any:
    """The number of elements."""
    return torch.tensor(x.numel(), dtype=torch.int64)


@implements("DepthToSpace")
def depth_to_space(call: Call, x: Any) -> Any:
    """Channels moved into blocks of the plane."""
    batch, channels, height, width = x.shape
    b = call.attr("blocksize")
    if call.attr("mode", "DCR") == "DCR":
        x = x.reshape(batch, b, b, channels // (b * b), height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        x = x.reshape(batch, channels // (b * b), b, b, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, channels // (b * b), height * b, width * b)


@implements("SpaceToDepth")
def space_to_depth(call: Call, x: Any) -> Any:
    """Blocks of the plane moved into channels."""
    batch, channels, height, width = x.shape
    b = call.attr("blocksize")
    x = x.reshape(batch, channels, height // b, b, width // b, b)
    if call.attr("mode", "DCR") == "CRD":
        return x.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * b * b, height // b, width // b)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * b * b, height // b, width // b)


@implements("Trilu")
def triangle(call: Call, x: Any, k: Any = None) -> Any:
    """The upper or the lower triangle of each matrix."""
    offset = int(number(k, 0))
    offset = max(-x.shape[-2], min(x.shape[-1], offset))
    return torch.triu(x, offset) if call.attr("upper", 1) else torch.tril(x, offset)


@implements("CenterCropPad")
def center_crop_pad(call: Call, x: Any, shape: Any) -> Any:
    """Each axis cut or padded with zeros on both sides to a size."""
    wanted = [int(n) for n in numbers(shape)]
    axes = call.attr("axes") or tuple(range(x.dim()))
    for axis, target in zip(axes, wanted, strict=True):
        have = x.shape[axis]
        if target < have:
            x = x.narrow(axis, (have - target) // 2, target)
        elif target > have:
            begin = (target - have) // 2
            sizes = list(x.shape)
            sizes[axis] = target
            call.allow(sizes, x.element_size())
            x = _extended(x, axis % x.dim(), begin, target - have - begin, "constant", 0)
    return x


@implements("ReverseSequence")
def reverse_sequence(call: Call, x: Any, lengths: Any) -> Any:
    """The beginning of each sequence reversed, as long as that sequence is."""
    time, batch = call.attr("time_axis", 0), call.attr("batch_axis", 1)
    moved = x.movedim((batch, time), (0, 1))
    steps = torch.arange(moved.shape[1], device=x.device).unsqueeze(0)
    ends = lengths.to(x.device).unsqueeze(1)
    places = torch.where(steps < ends, ends - 1 - steps, steps)
    rows = torch.arange(moved.shape[0], device=x.device).unsqueeze(1)
    return moved[rows, places].movedim((0, 1), (batch, time))


@implements("Crop")
def crop(call: Call, x: Any) -> Any:
    """An experimental operator of old models: borders cut off, or a window of a given scale."""
    left, top, right, bottom = call.attr("border")
    scale = call.attr("scale")
    height, width = x.shape[-2:]
    if scale:
        return x[..., top : top + scale[0], left : left + scale[1]]
    return x[..., top : height - bottom, left : width - right]
