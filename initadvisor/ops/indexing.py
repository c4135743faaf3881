"""Operators that pick, write or reorder elements by index or mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import spell
from initadvisor.ops.weighted import embedding_layout

Array = NDArray[np.float64]


def _where(condition: Array, input: Array, other: Array, **_: object) -> Array:
    return np.where(np.asarray(condition, dtype=bool), input, other)


register(
    "getitem",
    "select",
    "input tensors...",
    transparent=True,
    torch={"torch.Tensor.__getitem__": "input index", "torch.Tensor.index": "input index"},
)
register(
    "slice",
    "select",
    "input",
    transparent=True,
    torch={"torch.slice_copy": "input dim start end step"},
    onnx={"Slice": {"starts": "start", "ends": "end", "axes": "dim", "steps": "step"}},
    onnx_inputs={"Slice": "input start end dim step"},
)
register("narrow", "select", "input", transparent=True, torch=spell("narrow narrow_copy", "input dim start length"))
register("select", "select", "input", transparent=True, torch=spell("select", "input dim index"))
register(
    "index_select",
    "select",
    "input index",
    transparent=True,
    layouts={"input": embedding_layout},
    torch=spell("index_select", "input dim index"),
    onnx={"Gather": {"axis": "dim"}},
    onnx_defaults={"Gather": {"dim": 0}},
)
register(
    "gather",
    "select",
    "input index",
    transparent=True,
    torch=spell("gather", "input dim index") | spell("take_along_dim", "input index dim"),
    torch_keywords={"indices": "index"},
    onnx={"GatherElements": {"axis": "dim"}},
    onnx_defaults={"GatherElements": {"dim": 0}},
)
register("gather_nd", "select", "input index", transparent=True, onnx="GatherND")
register("take", "select", "input index", transparent=True, torch=spell("take", "input index"))
register(
    "masked_select",
    "select",
    "input mask",
    transparent=True,
    torch=spell("masked_select", "input mask"),
    onnx={"Compress": {"axis": "dim"}},
)
register(
    "setitem",
    "select",
    "input value tensors...",
    torch={"torch.Tensor.__setitem__": "input index value"},
)
register(
    "index_put",
    "select",
    "input value tensors...",
    torch=spell("index_put", "input indices value accumulate", inplace=True),
    torch_keywords={"values": "value"},
)
register("index_add", "select", "input index source", torch=spell("index_add", "input dim index source", inplace=True))
register(
    "index_copy", "select", "input index source", torch=spell("index_copy", "input dim index source", inplace=True)
)
register("index_fill", "select", "input index value", torch=spell("index_fill", "input dim index value", inplace=True))
register(
    "scatter",
    "select",
    "input index src",
    torch=spell("scatter scatter_reduce", "input dim index src reduce", inplace=True),
    onnx={"ScatterElements": {"axis": "dim", "reduction": "reduce"}, "Scatter": {"axis": "dim"}},
)
register("scatter_add", "select", "input index src", torch=spell("scatter_add", "input dim index src", inplace=True))
register("scatter_nd", "select", "input index src", onnx={"ScatterND": {"reduction": "reduce"}})
register("tensor_scatter", "select", "input src index", onnx={"TensorScatter": {"axis": "dim"}})
register("slice_scatter", "select", "input src", torch=spell("slice_scatter", "input src dim start end step"))
register("select_scatter", "select", "input src", torch=spell("select_scatter", "input src dim index"))
register(
    "masked_scatter", "select", "input mask source", torch=spell("masked_scatter", "input mask source", inplace=True)
)
register("masked_fill", "select", "input mask value", torch=spell("masked_fill", "input mask value", inplace=True))
register(
    "where",
    "select",
    "condition input other",
    evaluate=_where,
    torch={"torch.where": "condition input other", "torch.Tensor.where": "input condition other"},
    onnx="Where",
)
register("tril", "select", "input", torch=spell("tril", "input diagonal", inplace=True))
register("triu", "select", "input", torch=spell("triu", "input diagonal", inplace=True))
register("trilu", "select", "input", onnx="Trilu", onnx_inputs={"Trilu": "input diagonal"})
register("copy", "select", "input source", torch="torch.Tensor.copy_")
register(
    "topk",
    "select",
    "input",
    torch=spell("topk", "input k dim largest sorted"),
    onnx={"TopK": {"axis": "dim"}},
    onnx_inputs={"TopK": "input k"},
)
register("sort", "select", "input", torch=spell("sort", "input dim descending stable") | spell("msort", "input"))
register("argsort", "select", "input", torch=spell("argsort", "input dim descending"))
register("nonzero", "select", "input", torch=spell("nonzero argwhere", "input as_tuple"), onnx="NonZero")
register(
    "searchsorted",
    "select",
    "sorted_sequence input",
    torch={
        "torch.searchsorted": "sorted_sequence input",
        "torch.bucketize": "input sorted_sequence",
        "torch.Tensor.bucketize": "input sorted_sequence",
    },
)
register(
    "unique",
    "select",
    "input",
    torch="torch.functional.unique torch.functional.unique_consecutive torch.Tensor.unique "
    "torch.Tensor.unique_consecutive",
    onnx="Unique",
)
register(
    "one_hot",
    "select",
    "input values",
    torch_keywords={"tensor": "input"},
    torch={"torch.nn.functional.one_hot": "input num_classes", "torch._C._nn.one_hot": "input num_classes"},
    onnx={"OneHot": {"axis": "dim"}},
    onnx_inputs={"OneHot": "input num_classes values"},
)
register("reverse_sequence", "select", "input lengths", transparent=True, onnx="ReverseSequence")
