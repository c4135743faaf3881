"""Where the windows of convolutions and poolings lie: explicit and automatic padding, sizes of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F

from initadvisor.probe.onnx_torch.registry import Call


@dataclass(frozen=True, slots=True)
class Window:
    """One sliding window: a number for each spatial axis; pads are (begin, end) pairs."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel)

    @property
    def span(self) -> tuple[int, ...]:
        """Elements from the first to the last that the window reads."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def symmetric(self) -> bool:
        """Whether both ends are padded alike."""
        return all(begin == end for begin, end in self.pads)

    @property
    def begins(self) -> tuple[int, ...]:
        """The padding of each axis at its beginning."""
        return tuple(begin for begin, _ in self.pads)


def window(call: Call, sizes: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window of a node over an input of spatial `sizes`."""
    rank = len(kernel)
    stride = tuple(call.attr("strides") or (1,) * rank)
    dilation = tuple(call.attr("dilations") or (1,) * rank)
    mode = call.attr("auto_pad", "NOTSET")
    pads = call.attr("pads") or (0,) * (2 * rank)
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if mode == "VALID":
        pairs = ((0, 0),) * rank
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        pairs = tuple(
            _same(size, (k - 1) * d + 1, s, mode == "SAME_UPPER")
            for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
        )
    return Window(tuple(kernel), stride, dilation, pairs)


def _same(size: int, span: int, stride: int, upper: bool) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def rounded_up(view: Window, sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The pads with what the last window needs where sizes are rounded up; it must begin inside the padded input."""
    pairs = []
    for size, span, stride, (begin, end) in zip(sizes, view.span, view.stride, view.pads, strict=True):
        count = -(-(size + begin + end - span) // stride) + 1
        if (count - 1) * stride >= size + begin:
            count -= 1
        pairs.append((begin, end + max((count - 1) * stride + span - (size + begin + end), 0)))
    return tuple(pairs)


def pad(call: Call, x: Any, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """The input with its last axes padded (cropped where negative)."""
    if not any(begin or end for begin, end in pads):
        return x
    rank = len(pads)
    sizes = [size + begin + end for size, (begin, end) in zip(x.shape[-rank:], pads, strict=True)]
    call.allow((*x.shape[:-rank], *(max(size, 0) for size in sizes)), x.element_size())
    flat = [amount for pair in reversed(pads) for amount in pair]
    return F.pad(x, flat, value=value)
