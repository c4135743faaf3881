"""Shapes behind operators that slide a window or resize: convolutions, pooling, interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

from initadvisor.frontends.onnx_model.shape_rules.rule import Attrs, Shapes
from initadvisor.graph import Dim, Shape


def convolution(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch, out, spatial...); the sizes are unknown where those of the input are."""
    data, weight = inputs[0], inputs[1]
    if weight is None:
        return None
    kernel = weight[2:]
    spatial = (None,) * len(kernel) if data is None else data[2:]
    return (None if data is None else data[0], weight[0], *_windows(spatial, kernel, attrs))


def transposed_convolution(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch, out, stride (n - 1) + window - padding + output padding ...)."""
    data, weight = inputs[0], inputs[1]
    if data is None or weight is None or weight[1] is None:
        return None
    channels = weight[1] * attrs["groups"]
    given = attrs.get("output_shape")
    if given:
        return (data[0], channels, *given[-len(data[2:]) :])
    extra = attrs.get("output_padding") or (0,) * len(data[2:])
    out: list[Dim] = []
    for axis, (size, width) in enumerate(zip(data[2:], weight[2:], strict=True)):
        stride, dilation = attrs["stride"][axis], attrs["dilation"][axis]
        if size is None or width is None:
            out.append(None)
        elif attrs["padding"] == "same":
            out.append(size * stride)
        else:
            pads = _ends(attrs["padding"][axis])
            out.append(stride * (size - 1) + dilation * (width - 1) + 1 - pads + extra[axis])
    return (data[0], channels, *out)


def pooling(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch, channels, one element for each place of the window ...)."""
    data = inputs[0]
    return None if data is None else (*data[:2], *_windows(data[2:], attrs["kernel_size"], attrs))


def max_pooling(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """As `pooling`, for the values and the places of the maxima."""
    return [pooling(inputs, attrs)] * count


def global_pooling(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch, channels, 1 ...)."""
    return None if inputs[0] is None else (*inputs[0][:2], *[1] * (len(inputs[0]) - 2))


def resizing(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """Sizes as given, or as scaled and rounded down."""
    data = inputs[0]
    if data is None:
        return None
    out = list(data)
    sizes, scales = attrs.get("size"), attrs.get("scale_factor") or attrs.get("scales")
    axes = attrs.get("axes") or range(len(data))
    if sizes and str(attrs.get("keep_aspect_ratio_policy", "stretch")) == "stretch":
        for axis, size in zip(axes, sizes, strict=True):
            out[axis] = int(size)
        return tuple(out)
    if not scales or sizes:
        return (None,) * len(data)
    for axis, scale in zip(axes, scales, strict=True):
        size = out[axis]
        out[axis] = None if size is None else floor(size * scale)
    return tuple(out)


def _windows(spatial: Shape, kernel: Shape, attrs: Attrs) -> Shape:
    out: list[Dim] = []
    for axis, (size, width) in enumerate(zip(spatial, kernel, strict=True)):
        stride, dilation = attrs["stride"][axis], attrs["dilation"][axis]
        if size is None or width is None:
            out.append(None)
        elif attrs["padding"] == "same":
            out.append(-(-size // stride))
        else:
            pads = attrs["padding"][axis]
            steps = (size + _ends(pads) - dilation * (width - 1) - 1) / stride
            places = ceil(steps) + 1 if attrs.get("ceil_mode") else floor(steps) + 1
            begin = pads[0] if isinstance(pads, tuple) else pads
            if attrs.get("ceil_mode") and (places - 1) * stride >= size + begin:
                places -= 1  # the last window would lie in the padding alone
            out.append(places)
    return tuple(out)


def _ends(pads: int | tuple[int, int]) -> int:
    return sum(pads) if isinstance(pads, tuple) else 2 * pads
