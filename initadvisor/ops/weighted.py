"""Operators with a weight matrix: linear, matmul, convolution, embedding, einsum. Their layouts give the fans."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from initadvisor.graph import Layout
from initadvisor.ops.registry import register
from initadvisor.ops.spelling import spell


def linear_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(out, in), as `torch.nn.functional.linear` stores it."""
    return Layout(out_axes=(0,), in_axes=(1,)) if len(shape) == 2 else Layout(out_axes=(), in_axes=(0,))


def right_matrix_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(..., in, out): the right operand of a matrix product; leading axes hold independent matrices."""
    rank = len(shape)
    if rank == 1:
        return Layout(out_axes=(), in_axes=(0,))
    return Layout(out_axes=(rank - 1,), in_axes=(rank - 2,), batch_axes=tuple(range(rank - 2)))


def left_matrix_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(..., out, in): the left operand of a matrix product."""
    rank = len(shape)
    if rank == 1:
        return Layout(out_axes=(), in_axes=(0,))
    return Layout(out_axes=(rank - 2,), in_axes=(rank - 1,), batch_axes=tuple(range(rank - 2)))


def gemm_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(out, in) where `transposed_weight` is set, else (in, out)."""
    return Layout((0,), (1,)) if attrs.get("transposed_weight") else Layout((1,), (0,))


def convolution_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(out, in/groups, kernel...)."""
    return Layout((0,), (1,), groups=int(attrs.get("groups") or 1), stride=_stride(shape, attrs))


def transposed_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(in, out/groups, kernel...), as both torch and ONNX store a transposed convolution."""
    return Layout((1,), (0,), groups=int(attrs.get("groups") or 1), stride=_stride(shape, attrs), transposed=True)


def embedding_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(entries, width): a one-hot input, so one element reaches each output: fan_in is 1 by `in_axes` being empty."""
    return Layout(out_axes=tuple(range(1, len(shape))), in_axes=(), batch_axes=(0,))


def _stride(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> int:
    stride = attrs.get("stride") or 1
    return int(stride) ** max(len(shape) - 2, 0) if isinstance(stride, int) else prod(int(s) for s in stride)


_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSE = "input weight bias stride padding output_padding groups dilation"
_CONV_ATTRS = {"strides": "stride", "pads": "padding", "dilations": "dilation", "group": "groups"}

register(
    "linear",
    "weighted",
    "input weight bias",
    layouts={"weight": linear_layout},
    torch="torch.nn.functional.linear torch._C._nn.linear",
)
register(
    "gemm",
    "weighted",
    "input weight bias",
    layouts={"weight": gemm_layout},
    onnx={"Gemm": {"transA": "transposed_input", "transB": "transposed_weight"}},
)
register(
    "matmul",
    "weighted",
    "left right",
    layouts={"left": left_matrix_layout, "right": right_matrix_layout},
    torch="torch.matmul torch.mm torch.bmm torch.mv torch.Tensor.matmul torch.Tensor.mm torch.Tensor.bmm "
    "torch.Tensor.mv torch.Tensor.__matmul__ torch.linalg.matmul",
    torch_keywords={"input": "left", "other": "right", "mat2": "right", "vec": "right"},
    onnx="MatMul",
)
register(
    "reversed_matmul",
    "weighted",
    "right left",
    layouts={"left": left_matrix_layout, "right": right_matrix_layout},
    torch="torch.Tensor.__rmatmul__",
)
register(
    "addmm",
    "weighted",
    "bias left right",
    layouts={"left": left_matrix_layout, "right": right_matrix_layout},
    torch=spell("addmm addmv baddbmm addbmm", "bias left right beta alpha", inplace=True),
    torch_keywords={
        "input": "bias",
        "mat1": "left",
        "mat": "left",
        "batch1": "left",
        "mat2": "right",
        "vec": "right",
        "batch2": "right",
    },
)
register(
    "einsum",
    "weighted",
    "operands...",
    torch={"torch.functional.einsum": "equation operands...", "torch.einsum": "equation operands..."},
    onnx={"Einsum": {"equation": "equation"}},
)
register(
    "bilinear",
    "weighted",
    "left right weight bias",
    layouts={"weight": lambda shape, attrs: Layout((0,), (1, 2))},
    torch="torch.nn.functional.bilinear torch.bilinear",
    torch_keywords={"input1": "left", "input2": "right"},
)
register(
    "conv",
    "weighted",
    "input weight bias",
    layouts={"weight": convolution_layout},
    torch={f"torch.{prefix}conv{n}d": _CONV for n in (1, 2, 3) for prefix in ("", "nn.functional.")},
    onnx={"Conv": _CONV_ATTRS},
)
register(
    "causal_conv",
    "weighted",
    "input weight bias past_state",
    layouts={"weight": lambda shape, attrs: Layout((0,), (1,), groups=shape[0])},
    onnx="CausalConvWithState",
)
register(
    "conv_transpose",
    "weighted",
    "input weight bias",
    layouts={"weight": transposed_layout},
    torch={
        f"torch.{prefix}conv_transpose{n}d": _CONV_TRANSPOSE for n in (1, 2, 3) for prefix in ("", "nn.functional.")
    },
    onnx={"ConvTranspose": _CONV_ATTRS},
)
register(
    "deform_conv",
    "weighted",
    "input weight offset mask bias",
    layouts={"weight": convolution_layout},
    torch={
        "torchvision.deform_conv2d": "input weight offset mask bias",
        "torchvision.ops.deform_conv2d": "input offset weight bias stride padding dilation mask",
        "torchvision.ops.deform_conv.deform_conv2d": "input offset weight bias stride padding dilation mask",
    },
    onnx={"DeformConv": _CONV_ATTRS},
    onnx_inputs={"DeformConv": "input weight offset bias mask"},
)
register(
    "grouped_matmul",
    "weighted",
    "left right offsets bias",
    layouts={"right": right_matrix_layout},
    torch={
        f"{path}grouped_mm": "left right offsets bias out_dtype"
        for path in ("torch._", "torch.", "torch.nn.functional.", "torch._C._nn.")
    },
)
register("outer", "weighted", "left right", torch="torch.outer torch.ger torch.Tensor.outer torch.Tensor.ger")
register(
    "dot",
    "weighted",
    "left right",
    torch="torch.dot torch.inner torch.vdot torch.Tensor.dot torch.Tensor.inner torch.linalg.vecdot",
)
register(
    "tensordot",
    "weighted",
    "left right",
    torch={"torch.functional.tensordot": "left right dims", "torch.tensordot": "left right dims"},
)
register("chain_matmul", "weighted", "matrices...", torch="torch.functional.chain_matmul torch.linalg.multi_dot")
register(
    "embedding",
    "embedding",
    "indices weight",
    layouts={"weight": embedding_layout},
    torch={
        "torch.nn.functional.embedding": "indices weight padding_idx max_norm norm_type scale_grad_by_freq sparse",
        "torch.embedding": "weight indices padding_idx scale_grad_by_freq sparse",
    },
    torch_keywords={"input": "indices"},
)
register(
    "embedding_bag",
    "embedding",
    "indices weight offsets",
    layouts={"weight": embedding_layout},
    torch={
        "torch.nn.functional.embedding_bag": "indices weight offsets max_norm norm_type scale_grad_by_freq mode sparse",
        "torch.embedding_bag": "weight indices offsets scale_grad_by_freq mode sparse",
    },
    torch_keywords={"input": "indices"},
)
