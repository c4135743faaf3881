"""Elements picked and placed by index. Negative indices count from the end, as ONNX has it and torch has not."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements, number
from initadvisor.probe.onnx_torch.tabled import NARROW


def _places(indices: Any, size: int) -> Any:
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + size, indices)


@implements("Gather")
def gather(call: Call, x: Any, indices: Any) -> Any:
    """Slices along an axis: the rows of a table."""
    axis = call.attr("axis", 0) % max(x.dim(), 1)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    call.allow(shape, x.element_size())
    return x.index_select(axis, _places(indices.reshape(-1), x.shape[axis])).reshape(shape)


@implements("GatherElements")
def gather_elements(call: Call, x: Any, indices: Any) -> Any:
    """One element for each index, along an axis."""
    axis = call.attr("axis", 0)
    return x.gather(axis, _places(indices, x.shape[axis]))


def _tuples(x: Any, indices: Any, skip: int = 0) -> tuple[Any, ...]:
    return tuple(_places(indices[..., at], x.shape[at + skip]) for at in range(indices.shape[-1]))


@implements("GatherND")
def gather_nd(call: Call, x: Any, indices: Any) -> Any:
    """Slices by tuples of indices, the first `batch_dims` axes side by side."""
    skip = call.attr("batch_dims", 0)
    inner = x.shape[skip + indices.shape[-1] :]
    call.allow((*indices.shape[:-1], *inner), x.element_size())
    picks = _tuples(x, indices, skip)
    batch = []
    for at in range(skip):
        shape = [1] * (indices.dim() - 1)
        shape[at] = x.shape[at]
        batch.append(torch.arange(x.shape[at], device=x.device).reshape(shape))
    return x[(*batch, *picks)]


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@implements("ScatterElements", "Scatter")
def scatter_elements(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    """Elements put where the indices say, or combined with what is there."""
    axis = call.attr("axis", 0)
    places = _places(indices, x.shape[axis])
    reduction = call.attr("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, places, updates.to(x.dtype))
    return x.scatter_reduce(axis, places, updates.to(x.dtype), _REDUCE[reduction])


@implements("ScatterND")
def scatter_nd(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    """Slices put where tuples of indices say, or combined with what is there."""
    picks = _tuples(x, indices)
    reduction = call.attr("reduction", "none")
    if reduction in ("none", "add"):
        return x.index_put(picks, updates.to(x.dtype), accumulate=reduction == "add")
    depth = indices.shape[-1]
    flat = x.reshape(x.shape[:depth].numel(), -1)
    rows = torch.zeros_like(picks[0])
    for pick, size in zip(picks, x.shape[:depth], strict=True):
        rows = rows * size + pick
    source = updates.to(x.dtype).reshape(-1, flat.shape[1])
    places = rows.reshape(-1, 1).expand(source.shape)
    return flat.scatter_reduce(0, places, source, _REDUCE[reduction]).reshape(x.shape)


@implements("TensorScatter")
def tensor_scatter(call: Call, cache: Any, update: Any, starts: Any = None) -> Any:
    """New steps written into a cache of keys or values, at a place of its own for each sample."""
    axis = call.attr("axis", -2) % cache.dim()
    moved, new = cache.movedim(axis, 1), update.movedim(axis, 1)
    batch, steps = new.shape[:2]
    first = torch.zeros(batch, dtype=torch.int64) if starts is None else starts.to(torch.int64)
    places = first.to(cache.device).unsqueeze(1) + torch.arange(steps, device=cache.device)
    if call.attr("mode", "linear") == "circular":
        places = places % moved.shape[1]
    rows = torch.arange(batch, device=cache.device).unsqueeze(1).expand(batch, steps)
    return moved.index_put((rows, places), new.to(cache.dtype)).movedim(1, axis)


@implements("TopK")
def topk(call: Call, x: Any, k: Any = None) -> Any:
    """The largest or smallest elements of an axis and where they are; of equal ones the first comes first."""
    count = int(number(k, call.attr("k")))
    axis = call.attr("axis", -1)
    if not 0 <= count <= x.shape[axis]:
        raise FormatError(f"the {count} largest of {x.shape[axis]} elements")
    seen = x.to(torch.int64) if x.dtype in NARROW else x
    values, places = torch.sort(seen, dim=axis, descending=bool(call.attr("largest", 1)), stable=True)
    values = values.to(x.dtype)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


def _extreme(call: Call, x: Any, largest: bool) -> Any:
    axis, keep = call.attr("axis", 0), bool(call.attr("keepdims", 1))
    find = torch.argmax if largest else torch.argmin
    if call.attr("select_last_index", 0):
        return x.shape[axis] - 1 - find(x.flip(axis), axis, keep)
    return find(x, axis, keep)


@implements("ArgMax")
def argmax(call: Call, x: Any) -> Any:
    """Where the largest element of an axis is."""
    return _extreme(call, x, True)


@implements("ArgMin")
def argmin(call: Call, x: Any) -> Any:
    """Where the smallest element of an axis is."""
    return _extreme(call, x, False)


@implements("NonZero")
def non_zero(call: Call, x: Any) -> Any:
    """The indices of the elements that are not zero, a column each."""
    return torch.nonzero(x).t().contiguous()


@implements("Compress")
def compress(call: Call, x: Any, condition: Any) -> Any:
    """The slices along an axis, or the elements, for which a condition holds."""
    axis = call.attr("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.index_select(axis, torch.nonzero(condition.reshape(-1)).reshape(-1).to(x.device))


@implements("Unique")
def unique(call: Call, x: Any) -> Any:
    """Different elements or slices, where each first stands, which one stands where, and how many there are."""
    axis = call.attr("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    found, inverse, counts = torch.unique(x, sorted=True, return_inverse=True, return_counts=True, dim=axis)
    order = torch.arange(inverse.numel(), device=x.device)
    first = torch.full((counts.numel(),), inverse.numel(), device=x.device)
    first = first.scatter_reduce(0, inverse, order, "amin")
    if not call.attr("sorted", 1):
        by_place = torch.argsort(first)
        found, first, counts = found.index_select(axis, by_place), first[by_place], counts[by_place]
        inverse = torch.argsort(by_place)[inverse]
    return (found, first, inverse, counts)[: call.outputs] if call.outputs > 1 else found


def _running(call: Call, x: Any, axis: Any, function: Any, start: float) -> Any:
    along = int(number(axis))
    back = bool(call.attr("reverse", 0))
    x = x.flip(along) if back else x
    made = function(x, along).to(x.dtype)
    if call.attr("exclusive", 0) and x.shape[along]:
        head = torch.full_like(made.narrow(along, 0, 1), start)
        made = torch.cat([head, made.narrow(along, 0, x.shape[along] - 1)], along)
    return made.flip(along) if back else made


@implements("CumSum")
def cumulative_sum(call: Call, x: Any, axis: Any) -> Any:
    """Sums from the beginning or the end of an axis."""
    return _running(call, x, axis, torch.cumsum, 0)


@implements("CumProd")
def cumulative_product(call: Call, x: Any, axis: Any) -> Any:
    """Products from the beginning or the end of an axis."""
    return _running(call, x, axis, torch.cumprod, 1)


@implements("NonMaxSuppression")
def non_max_suppression(
    call: Call, boxes: Any, scores: Any, most: Any = None, overlap: Any = None, least: Any = None
) -> Any:
    """Boxes kept after those that overlap a better one are dropped: (batch, class, box) a row. No gradient passes."""
    from torchvision.ops import nms

    count, threshold = int(number(most, 0)), float(number(overlap, 0.0))
    rows = []
    with torch.no_grad():
        if call.attr("center_point_box", 0):
            centre, half = boxes[..., :2], boxes[..., 2:] / 2
            boxes = torch.cat([centre - half, centre + half], -1)
        boxes = torch.cat(
            [torch.minimum(boxes[..., :2], boxes[..., 2:]), torch.maximum(boxes[..., :2], boxes[..., 2:])], -1
        )
        for batch in range(scores.shape[0]):
            for label in range(scores.shape[1]):
                score = scores[batch, label]
                able = torch.arange(score.numel(), device=score.device)
                if least is not None:
                    able = torch.nonzero(score > float(number(least))).reshape(-1)
                kept = able[nms(boxes[batch, able].float(), score[able].float(), threshold)][:count]
                rows += [[batch, label, int(box)] for box in kept.tolist()]
    return torch.tensor(rows, dtype=torch.int64, device=boxes.device).reshape(-1, 3)
