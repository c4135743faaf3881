"""Convolutions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.operators.linear import activated
from initadvisor.probe.onnx_torch.operators.windows import pad, window
from initadvisor.probe.onnx_torch.registry import Call, given, implements

_CONV = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def _rank(weight: Any) -> int:
    rank = int(weight.dim()) - 2
    if not 1 <= rank <= 3:
        raise FormatError(f"a convolution over {rank} axes; torch knows 1 to 3")
    return rank


@implements("Conv")
def convolution(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    """A convolution over 1 to 3 axes, in groups."""
    rank = _rank(weight)
    view = window(call, x.shape[2:], weight.shape[2:])
    if view.symmetric:
        padding = view.begins
        spread = (size + 2 * amount for size, amount in zip(x.shape[2:], padding, strict=True))
        call.allow((*x.shape[:2], *spread), x.element_size())
    else:
        x, padding = pad(call, x, view.pads), (0,) * rank
    return _CONV[rank - 1](x, weight, bias, view.stride, padding, view.dilation, call.attr("group", 1))


@implements("com.microsoft::FusedConv")
def fused_convolution(call: Call, x: Any, weight: Any, bias: Any = None, addend: Any = None) -> Any:
    """A convolution, what is added to it, and the activation that was folded into it."""
    made = convolution(call, x, weight, bias)
    return activated(call, made if addend is None else made + addend)


@implements("ConvTranspose")
def transposed_convolution(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    """The adjoint of a convolution; its size is given by padding or by `output_shape`."""
    rank = _rank(weight)
    view = window(call, x.shape[2:], weight.shape[2:])
    extra = tuple(call.attr("output_padding") or (0,) * rank)
    sizes = [
        (size - 1) * stride + more + span
        for size, stride, more, span in zip(x.shape[2:], view.stride, extra, view.span, strict=True)
    ]
    groups = call.attr("group", 1)
    mode = call.attr("auto_pad", "NOTSET")
    wanted = call.attr("output_shape")
    pads = view.pads
    if wanted is None and mode.startswith("SAME"):
        wanted = [size * stride for size, stride in zip(x.shape[2:], view.stride, strict=True)]
    if wanted is not None:
        pads = tuple(_cut(size, want, mode) for size, want in zip(sizes, wanted[-rank:], strict=True))
    call.allow((x.shape[0], weight.shape[1] * groups, *sizes), x.element_size())
    run = _TRANSPOSED[rank - 1]
    if all(begin == end >= 0 for begin, end in pads) and all(
        e < max(s, d) for e, s, d in zip(extra, view.stride, view.dilation, strict=True)
    ):
        begins = tuple(begin for begin, _ in pads)
        return run(x, weight, bias, view.stride, begins, extra, groups, view.dilation)
    made = run(x, weight, None, view.stride, 0, 0, groups, view.dilation)
    made = pad(call, made, [(-begin, more - end) for (begin, end), more in zip(pads, extra, strict=True)])
    return made if bias is None else made + bias.reshape((1, -1) + (1,) * rank)


def _cut(size: int, wanted: int, mode: str) -> tuple[int, int]:
    total = size - wanted
    if total < 0:
        return 0, total
    small, large = total // 2, total - total // 2
    return (small, large) if mode == "SAME_UPPER" else (large, small)


@implements("ConvInteger")
def convolution_integer(call: Call, x: Any, weight: Any, x_zero: Any = None, weight_zero: Any = None) -> Any:
    """A convolution of codes, as integers; float64 holds their products exactly."""
    carried = x.is_floating_point()
    x, weight = x.double(), weight.double()
    if x_zero is not None:
        x = x - x_zero.double()
    if weight_zero is not None:
        zero = weight_zero.double()
        weight = weight - (zero.reshape((-1,) + (1,) * (weight.dim() - 1)) if zero.numel() > 1 else zero)
    made = convolution(call, x, weight)
    return made.float() if carried else made.to(torch.int32)


@implements("DeformConv")
def deformable_convolution(call: Call, x: Any, weight: Any, offset: Any, bias: Any = None, mask: Any = None) -> Any:
    """A convolution whose samples are moved by learned offsets (arXiv 1811.11168), over two axes."""
    from torchvision.ops import deform_conv2d

    view = window(call, x.shape[2:], weight.shape[2:])
    if not view.symmetric:
        raise FormatError("a deformable convolution that is padded unevenly")
    return deform_conv2d(x, offset, weight, bias, view.stride, view.begins, view.dilation, mask)


@implements("Col2Im")
def columns_to_image(call: Call, x: Any, image: Any, block: Any) -> Any:
    """Overlapping blocks summed into an image, of two axes."""
    sizes, kernel = given(call, "", image) or [], given(call, "", block) or []
    if len(sizes) != 2:
        raise FormatError(f"Col2Im over {len(sizes)} axes; torch knows 2")
    view = window(call, sizes, kernel)
    padded = [size + begin + end for size, (begin, end) in zip(sizes, view.pads, strict=True)]
    call.allow((x.shape[0], x.shape[1], *padded), x.element_size())
    made = F.fold(x, padded, kernel, view.dilation, 0, view.stride)
    return pad(call, made, [(-begin, -end) for begin, end in view.pads])
