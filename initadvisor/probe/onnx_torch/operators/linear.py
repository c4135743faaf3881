"""Matrix products."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements


def _allow(call: Call, left: Any, right: Any) -> None:
    if left.dim() > 1 and right.dim() > 1:
        batch = max(left.shape[:-2].numel(), right.shape[:-2].numel())
        call.allow((batch, left.shape[-2], right.shape[-1]), left.element_size())


@implements("MatMul")
def matmul(call: Call, left: Any, right: Any) -> Any:
    """The product of matrices or stacks of them."""
    _allow(call, left, right)
    return torch.matmul(left, right)


@implements("com.microsoft::FusedMatMul")
def fused_matmul(call: Call, left: Any, right: Any) -> Any:
    """A scaled product of matrices, each transposed first where the node says so."""
    left = left.movedim(0, -2) if call.attr("transBatchA", 0) else left
    right = right.movedim(0, -2) if call.attr("transBatchB", 0) else right
    left = left.mT if call.attr("transA", 0) else left
    right = right.mT if call.attr("transB", 0) else right
    _allow(call, left, right)
    return call.attr("alpha", 1.0) * torch.matmul(left, right)


@implements("Gemm")
def gemm(call: Call, left: Any, right: Any, addend: Any = None) -> Any:
    """alpha A B + beta C."""
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    left = left.t() if call.attr("transA", 0) else left
    call.allow((left.shape[0], right.shape[0 if call.attr("transB", 0) else 1]), left.element_size())
    row = addend is None or (addend.dim() == 1 and addend.shape[0] == right.shape[0])
    if call.attr("transB", 0) and alpha == beta == 1 and row:
        return F.linear(left, right, addend)
    product = torch.matmul(left, right.t() if call.attr("transB", 0) else right)
    product = product if alpha == 1 else alpha * product
    if addend is None or beta == 0:
        return product
    return product + (addend if beta == 1 else beta * addend)


@implements("Einsum")
def einsum(call: Call, *operands: Any) -> Any:
    """A sum of products by an equation."""
    equation = str(call.attr("equation", "")).replace(" ", "")
    sizes: dict[str, int] = {}
    inputs, _, output = equation.partition("->")
    for term, operand in zip(inputs.split(","), operands, strict=True):
        if "..." not in term:
            sizes |= dict(zip(term, operand.shape, strict=True))
    call.allow([sizes.get(letter, 1) for letter in output if letter != "."], operands[0].element_size())
    return torch.einsum(equation, *operands)


@implements("Det")
def determinant(call: Call, x: Any) -> Any:
    """The determinant of each matrix."""
    return torch.linalg.det(x)


@implements("MatMulInteger")
def matmul_integer(call: Call, left: Any, right: Any, left_zero: Any = None, right_zero: Any = None) -> Any:
    """The product of matrices of codes, as integers; in float32 where codes come as floats that carry a gradient."""
    _allow(call, left, right)
    kind = left.dtype if left.is_floating_point() else torch.int32
    left, right = left.to(kind), right.to(kind)
    if left_zero is not None:
        zero = left_zero.to(kind)
        left = left - (zero.unsqueeze(-1) if zero.dim() == 1 and zero.numel() > 1 else zero)
    if right_zero is not None:
        right = right - right_zero.to(kind)
    if left.is_cuda and kind == torch.int32:  # cuBLAS has no product of 32-bit integers; float64 is exact up to 2^53
        return torch.matmul(left.double(), right.double()).to(torch.int32)
    return torch.matmul(left, right)


@implements("com.microsoft::FusedGemm")
def fused_gemm(call: Call, left: Any, right: Any, addend: Any = None) -> Any:
    """Gemm and the activation that was folded into it."""
    return activated(call, gemm(call, left, right, addend))


def activated(call: Call, x: Any) -> Any:
    """The activation that a fused operator ends in."""
    name = call.attr("activation")
    simple = {None: lambda v: v, "Relu": torch.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid}
    if name in simple:
        return simple[name](x)
    if name == "LeakyRelu":
        return F.leaky_relu(x, call.attr("activation_alpha", 0.01))
    params = call.attr("activation_params", ())
    if name == "Clip" and len(params) == 2:
        return torch.clamp(x, *params)
    if name == "HardSigmoid" and len(params) == 2:
        return torch.clamp(params[0] * x + params[1], 0, 1)
    raise FormatError(f"a fused activation {name!r} that is not known")
