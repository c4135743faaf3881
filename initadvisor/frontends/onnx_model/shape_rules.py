"""The shapes that canonical operators make of the shapes they read, one rule an operator.

A rule gets the input shapes in the order of the slots and the canonical attributes; it may fail on what does not fit
and on an attribute that is missing because the model computes it: its caller takes that for "unknown". `None` stands
for an unknown shape or size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from initadvisor.frontends.onnx_model import window_rules
from initadvisor.graph import Dim, Shape

Shapes = Sequence[Shape | None]
Attrs = Mapping[str, Any]
Rule = Callable[[Shapes, Attrs], Shape | None]
ManyRule = Callable[[Shapes, Attrs, int], Sequence[Shape | None]]


def broadcast(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """Sizes aligned at the end, ones stretched; an unknown size gives way to a known one above 1."""
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len(shapes) < len(inputs):
        return None
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for sizes in zip(*[(1,) * (rank - len(shape)) + shape for shape in shapes], strict=True):
        known = {size for size in sizes if size is not None and size != 1}
        if len(known) > 1:
            raise ValueError(f"sizes {sizes} do not match")
        out.append(known.pop() if known else None if None in sizes else 1)
    return tuple(out)


def first(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The shape of the first input."""
    return inputs[0]


def _second(inputs: Shapes, attrs: Attrs) -> Shape | None:
    return inputs[1]


def _slice(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    out = list(inputs[0])
    for start, end, dim, step in zip(attrs["start"], attrs["end"], attrs["dim"], attrs["step"], strict=True):
        size = out[dim]
        if size is not None:
            stop = None if step < 0 and end < -size else end
            out[dim] = len(range(*slice(start, stop, step).indices(size)))
    return tuple(out)


def _reshape(inputs: Shapes, attrs: Attrs) -> Shape | None:
    target, whole = attrs["shape"], inputs[0]
    if -1 not in target:
        return None if 0 in target else tuple(target)
    if whole is None or None in whole or 0 in target:
        return tuple(None if size in (-1, 0) else size for size in target)
    rest = prod(size for size in target if size != -1)
    return tuple(prod(s for s in whole if s is not None) // rest if size == -1 else size for size in target)


def _permute(inputs: Shapes, attrs: Attrs) -> Shape | None:
    return None if inputs[0] is None else tuple(inputs[0][dim] for dim in attrs["dims"])


def _squeeze(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    dims = attrs["dim"]
    if dims is None:
        return None if None in inputs[0] else tuple(size for size in inputs[0] if size != 1)
    gone = {dim % len(inputs[0]) for dim in dims}
    return tuple(size for axis, size in enumerate(inputs[0]) if axis not in gone)


def _unsqueeze(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    rank = len(inputs[0]) + len(attrs["dim"])
    out = list(inputs[0])
    for dim in sorted({dim % rank for dim in attrs["dim"]}):
        out.insert(dim, 1)
    return tuple(out)


def _cat(inputs: Shapes, attrs: Attrs) -> Shape | None:
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len({len(shape) for shape in shapes}) > 1:
        return None
    dim = attrs["dim"] % len(shapes[0])
    out = [next((shape[axis] for shape in shapes if shape[axis] is not None), None) for axis in range(len(shapes[0]))]
    along = [None if shape is None else shape[dim] for shape in inputs]
    out[dim] = None if None in along else sum(size for size in along if size is not None)
    return tuple(out)


def _matmul(inputs: Shapes, attrs: Attrs) -> Shape | None:
    left, right = inputs[0], inputs[1]
    if left is None or right is None or not left or not right:
        return None
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    batch = broadcast((left[:-2], right[:-2]), attrs)
    return None if batch is None else (*batch, *rows, *columns)


def _linear(inputs: Shapes, attrs: Attrs) -> Shape | None:
    left, weight = inputs[0], inputs[1]
    return None if left is None or weight is None else (*left[:-1], weight[0])


def _gemm(inputs: Shapes, attrs: Attrs) -> Shape | None:
    left, right = inputs[0], inputs[1]
    rows = None if left is None else left[1 if attrs["transposed_input"] else 0]
    return None if right is None else (rows, right[0 if attrs["transposed_weight"] else 1])


def _einsum(inputs: Shapes, attrs: Attrs) -> Shape | None:
    equation = str(attrs["equation"]).replace(" ", "")
    left, arrow, right = equation.partition("->")
    if "." in equation:
        return None
    sizes: dict[str, Dim] = {}
    for term, shape in zip(left.split(","), inputs, strict=True):
        if shape is not None:
            sizes.update((letter, size) for letter, size in zip(term, shape, strict=True) if size is not None)
    kept = right if arrow else "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
    return tuple(sizes.get(letter) for letter in kept)


def _embedding(inputs: Shapes, attrs: Attrs) -> Shape | None:
    indices, table = inputs[0], inputs[1]
    return None if indices is None or table is None else (*indices, *table[1:])


def _index_select(inputs: Shapes, attrs: Attrs) -> Shape | None:
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None:
        return None
    dim = attrs["dim"] % len(data)
    return (*data[:dim], *indices, *data[dim + 1 :])


def _gather_nd(inputs: Shapes, attrs: Attrs) -> Shape | None:
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None or indices[-1] is None:
        return None
    batch = attrs.get("batch_dims", 0)
    if not 0 <= batch <= batch + indices[-1] <= len(data):
        return None
    return (*indices[:-1], *data[batch + indices[-1] :])


def _reduce(inputs: Shapes, attrs: Attrs) -> Shape | None:
    data, dims = inputs[0], attrs["dim"]
    if data is None:
        return None
    dims = range(len(data)) if dims is None else (dims,) if isinstance(dims, int) else dims
    gone = {dim % len(data) for dim in dims}
    if attrs.get("keepdim"):
        return tuple(1 if axis in gone else size for axis, size in enumerate(data))
    return tuple(size for axis, size in enumerate(data) if axis not in gone)


def _repeat(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    return tuple(None if s is None else s * n for s, n in zip(inputs[0], attrs["repeats"], strict=True))


def _pad(inputs: Shapes, attrs: Attrs) -> Shape | None:
    pads = attrs.get("pads", attrs.get("paddings"))
    if inputs[0] is None or pads is None:
        return None
    out, axes = list(inputs[0]), attrs.get("axes") or range(len(inputs[0]))
    for axis, begin, end in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        size = out[axis]
        out[axis] = None if size is None else size + begin + end
    return tuple(out)


def _one_hot(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    dim = attrs.get("dim", -1) % (len(inputs[0]) + 1)
    return (*inputs[0][:dim], attrs.get("num_classes"), *inputs[0][dim:])


def _pixel(inputs: Shapes, attrs: Attrs) -> Shape | None:
    factor = attrs.get("upscale_factor")
    if inputs[0] is None:
        return None
    batch, channels, height, width = inputs[0]
    up, down = (factor, 1) if factor else (1, attrs["downscale_factor"])
    area = None if channels is None else channels * down * down // (up * up)
    return batch, area, *(None if size is None else size * up // down for size in (height, width))


def _flatten(inputs: Shapes, attrs: Attrs) -> Shape | None:
    if inputs[0] is None:
        return None
    at = attrs["start_dim"]
    parts = (inputs[0][:at], inputs[0][at:])
    return tuple(None if None in part else prod(s for s in part if s is not None) for part in parts)


def _attention(inputs: Shapes, attrs: Attrs) -> Shape | None:
    query, value = inputs[0], inputs[2]
    return (*query[:-1], value[-1]) if query is not None and value is not None and len(query) == 4 else None


def _split(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    data, sizes = inputs[0], attrs["split_size_or_sections"]
    if data is None:
        return ()
    dim = attrs["dim"] % len(data)
    return [(*data[:dim], size, *data[dim + 1 :]) for size in sizes]


def _topk(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    if inputs[0] is None:
        return ()
    out = list(inputs[0])
    out[attrs.get("dim", -1)] = attrs["k"]
    return [tuple(out)] * count


def _recurrent(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    if inputs[0] is None:
        return ()
    two = attrs.get("bidirectional") or attrs.get("direction") == "bidirectional"
    sides, hidden = 2 if two else 1, attrs["hidden_size"]
    if attrs.get("batch_first") or attrs.get("layout"):
        batch, length, _ = inputs[0]
        return [(batch, length, sides, hidden), (batch, sides, hidden), (batch, sides, hidden)]
    length, batch, _ = inputs[0]
    return [(length, sides, batch, hidden), (sides, batch, hidden), (sides, batch, hidden)]


def same_everywhere(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """The shape of the first input for every output."""
    return [inputs[0]] * count


RULES: dict[str, Rule] = {
    **dict.fromkeys(("identity", "cast", "trilu", "cumsum", "cumprod", "reverse_sequence", "roll", "flip"), first),
    **dict.fromkeys(("quantize", "dequantize", "fake_quantize"), first),
    **dict.fromkeys(("softmax", "log_softmax", "hardmax", "scatter", "scatter_nd", "tensor_scatter"), first),
    **dict.fromkeys(("rotary_embedding", "microsoft_rotary_embedding"), first),
    "gather": _second,
    "where": broadcast,
    "slice": _slice,
    "reshape": _reshape,
    "permute": _permute,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "cat": _cat,
    "expand": lambda inputs, attrs: broadcast((inputs[0], attrs["shape"]), attrs),
    "repeat": _repeat,
    "pad": _pad,
    "flatten": _flatten,
    "pixel_shuffle": _pixel,
    "pixel_unshuffle": _pixel,
    "matmul": _matmul,
    "linear": _linear,
    "gemm": _gemm,
    "einsum": _einsum,
    "embedding": _embedding,
    "index_select": _index_select,
    "gather_nd": _gather_nd,
    "one_hot": _one_hot,
    "nonzero": lambda inputs, attrs: None if inputs[0] is None else (len(inputs[0]), None),
    "shape_of": lambda inputs, attrs: None if inputs[0] is None else (len(inputs[0]),),
    "size_of": lambda inputs, attrs: (),
    "arange": lambda inputs, attrs: (None,),
    "rand": lambda inputs, attrs: attrs.get("size", inputs[0] if inputs else None),
    "randn": lambda inputs, attrs: attrs.get("size", inputs[0] if inputs else None),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("quantized_leakyrelu", "quantized_sigmoid"), first),
    **dict.fromkeys(("quantized_add", "quantized_mul"), lambda inputs, attrs: broadcast((inputs[0], inputs[3]), attrs)),
    "quantized_globalaveragepool": window_rules.global_pooling,
    "conv": window_rules.convolution,
    "conv_transpose": window_rules.transposed_convolution,
    "deform_conv": window_rules.convolution,
    "avg_pool": window_rules.pooling,
    "lp_pool": window_rules.pooling,
    "adaptive_avg_pool": window_rules.global_pooling,
    "adaptive_max_pool": window_rules.global_pooling,
    "global_lp_pool": window_rules.global_pooling,
    "interpolate": window_rules.resizing,
    **dict.fromkeys(("det", "multinomial", "tfidf"), lambda inputs, attrs: None),
}
"""Operator -> the shape of its first output."""

MANY: dict[str, ManyRule] = {
    "split": _split,
    "topk": _topk,
    "dropout": same_everywhere,
    "dynamic_quantize": lambda inputs, attrs, count: (inputs[0], (), ()),
    "max_pool": window_rules.max_pooling,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu", "onnx_lstm", "onnx_gru", "onnx_rnn"), _recurrent),
}
"""Operator -> the shapes of all its outputs."""

FAMILIES: dict[str, Rule] = {
    **dict.fromkeys(("activation", "random", "norm"), first),
    **dict.fromkeys(("elementwise", "compare"), broadcast),
    "reduce": _reduce,
}
"""Operator family -> the shape of the first output, for operators without a rule of their own."""
