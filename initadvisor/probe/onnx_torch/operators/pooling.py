"""Poolings."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.operators.windows import Window, pad, rounded_up, window
from initadvisor.probe.onnx_torch.registry import Call, implements, numbers

_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_AVERAGE = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
_CONV = (F.conv1d, F.conv2d, F.conv3d)


def _window(call: Call, x: Any) -> Window:
    kernel = tuple(call.attr("kernel_shape") or ())
    if not 1 <= len(kernel) <= 3 or x.dim() != len(kernel) + 2:
        raise FormatError(f"a pooling of {len(kernel)} axes over a tensor of {x.dim()}")
    return window(call, x.shape[2:], kernel)


def _fits(view: Window) -> bool:
    """Whether torch takes this padding itself."""
    return view.symmetric and all(begin <= k // 2 for begin, k in zip(view.begins, view.kernel, strict=True))


@implements("MaxPool")
def max_pool(call: Call, x: Any) -> Any:
    """The largest element of each window, and where it lies in the whole tensor."""
    view = _window(call, x)
    kind = x.dtype
    x = x if x.is_floating_point() else x.to(torch.float32)
    run = _MAX[view.rank - 1]
    if _fits(view) and not call.attr("ceil_mode", 0) and call.outputs == 1:
        padded = (size + 2 * begin for size, begin in zip(x.shape[2:], view.begins, strict=True))
        call.allow((*x.shape[:2], *padded), x.element_size())
        return run(x, view.kernel, view.stride, view.begins, view.dilation).to(kind)
    pads = rounded_up(view, x.shape[2:]) if call.attr("ceil_mode", 0) else view.pads
    wide = pad(call, x, pads, float("-inf"))
    if call.outputs == 1:
        return run(wide, view.kernel, view.stride, 0, view.dilation).to(kind)
    made, found = run(wide, view.kernel, view.stride, 0, view.dilation, return_indices=True)
    return made.to(kind), _whole_index(found, wide.shape[2:], x.shape, pads, bool(call.attr("storage_order", 0)))


def _whole_index(found: Any, padded: Any, shape: Any, pads: Any, by_column: bool) -> Any:
    """Places in the padded plane as places in the whole tensor without padding."""
    places, rest = [], found
    for size, (begin, _) in zip(reversed(padded), reversed(pads), strict=True):
        places.append(rest % size - begin)
        rest = torch.div(rest, size, rounding_mode="floor")
    axes = list(zip(reversed(places), shape[2:], strict=True))
    index = torch.zeros_like(found)
    for place, size in reversed(axes) if by_column else axes:
        index = index * size + place
    plane = prod(shape[2:])
    first = torch.arange(shape[0] * shape[1], device=found.device) * plane
    return index + first.reshape((shape[0], shape[1]) + (1,) * len(axes))


def _window_sums(x: Any, view: Window) -> Any:
    """The sum of each window of an input that is padded already."""
    if any(d > 1 for d in view.dilation):
        flat = x.reshape(-1, 1, *x.shape[2:])
        ones = torch.ones((1, 1, *view.kernel), dtype=x.dtype, device=x.device)
        made = _CONV[view.rank - 1](flat, ones, None, view.stride, 0, view.dilation)
        return made.reshape(*x.shape[:2], *made.shape[2:])
    return _AVERAGE[view.rank - 1](x, view.kernel, view.stride) * prod(view.kernel)


@implements("AveragePool")
def average_pool(call: Call, x: Any) -> Any:
    """The mean of each window; padding counts with `count_include_pad`, what rounding up adds never does."""
    view = _window(call, x)
    counted = bool(call.attr("count_include_pad", 0))
    up = bool(call.attr("ceil_mode", 0))
    if _fits(view) and not up and all(d == 1 for d in view.dilation):
        padded = (size + 2 * begin for size, begin in zip(x.shape[2:], view.begins, strict=True))
        call.allow((*x.shape[:2], *padded), x.element_size())
        return _AVERAGE[view.rank - 1](x, view.kernel, view.stride, view.begins, count_include_pad=counted)
    pads = rounded_up(view, x.shape[2:]) if up else view.pads
    mask = torch.ones((1, 1, *x.shape[2:]), dtype=torch.float32, device=x.device)
    if counted:
        mask = pad(call, mask, view.pads, 1.0)
        late = [(0, end - own) for (_, end), (_, own) in zip(pads, view.pads, strict=True)]
        mask = pad(call, mask, late)
    else:
        mask = pad(call, mask, pads)
    return _window_sums(pad(call, x, pads), view) / _window_sums(mask, view).to(x.dtype)


@implements("LpPool")
def lp_pool(call: Call, x: Any) -> Any:
    """The p-norm of each window."""
    view = _window(call, x)
    p = float(call.attr("p", 2))
    pads = rounded_up(view, x.shape[2:]) if call.attr("ceil_mode", 0) else view.pads
    return _window_sums(pad(call, x.abs() ** p, pads), view) ** (1 / p)


@implements("GlobalAveragePool")
def global_average_pool(call: Call, x: Any) -> Any:
    """The mean over all spatial axes."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


@implements("GlobalMaxPool")
def global_max_pool(call: Call, x: Any) -> Any:
    """The largest element over all spatial axes."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


@implements("GlobalLpPool")
def global_lp_pool(call: Call, x: Any) -> Any:
    """The p-norm over all spatial axes."""
    p = float(call.attr("p", 2))
    return (x.abs() ** p).sum(dim=tuple(range(2, x.dim())), keepdim=True) ** (1 / p)


@implements("MaxUnpool")
def max_unpool(call: Call, x: Any, indices: Any, shape: Any = None) -> Any:
    """Elements put back where a MaxPool found them: in the tensor of the inferred size, or in that of `shape`."""
    kernel = tuple(call.attr("kernel_shape") or ())
    view = window(call, x.shape[2:], kernel)
    spatial = [
        (size - 1) * stride + k - begin - end
        for size, stride, k, (begin, end) in zip(x.shape[2:], view.stride, kernel, view.pads, strict=True)
    ]
    inferred = [*x.shape[:2], *spatial]
    wanted = inferred if shape is None else numbers(shape)
    call.allow(inferred, x.element_size())
    call.allow(wanted, x.element_size())
    flat = torch.zeros(prod(inferred), dtype=x.dtype, device=x.device)
    made = flat.index_put((indices.reshape(-1),), x.reshape(-1)).reshape(inferred)
    more = [(0, want - size) for want, size in zip(wanted, inferred, strict=True)]
    return pad(call, made, more)


@implements("MaxRoiPool")
def max_roi_pool(call: Call, x: Any, rois: Any) -> Any:
    """The largest elements of a grid of cells in each region."""
    from torchvision.ops import roi_pool

    shape = tuple(call.attr("pooled_shape"))
    call.allow((rois.shape[0], x.shape[1], *shape), x.element_size())
    return roi_pool(x, rois, shape, call.attr("spatial_scale", 1.0))


@implements("RoiAlign")
def roi_align(call: Call, x: Any, rois: Any, batch: Any) -> Any:
    """The mean of interpolated samples in each cell of each region (arXiv 1703.06870)."""
    from torchvision.ops import roi_align as align

    if call.attr("mode", "avg") != "avg":
        raise FormatError("RoiAlign with mode 'max'; only 'avg' has a torch form")
    shape = (call.attr("output_height", 1), call.attr("output_width", 1))
    call.allow((rois.shape[0], x.shape[1], *shape), x.element_size())
    half = call.attr("coordinate_transformation_mode", "half_pixel" if call.opset >= 16 else "output_half_pixel")
    boxes = torch.cat([batch.to(rois.dtype).unsqueeze(1), rois], 1)
    return align(x, boxes, shape, call.attr("spatial_scale", 1.0), call.attr("sampling_ratio", 0), half == "half_pixel")
