"""The operators that are more than one renamed node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.frontends.onnx_model import contrib, control, folded_norms, integer, quantized, recurrent
from initadvisor.frontends.onnx_model.names import Binding, Names

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder

Special = Callable[["Builder", "NodeProto", Sequence[Binding | None], dict[str, Any], Names], bool]
SPECIAL: dict[str, Special] = {
    "If": control.branch,
    "Loop": control.loop,
    "Scan": control.scan,
    "LSTM": recurrent.translate,
    "GRU": recurrent.translate,
    "RNN": recurrent.translate,
    "DequantizeLinear": quantized.dequantize,
    "QuantizeLinear": quantized.quantize,
    "com.microsoft::QuantizeLinear": quantized.quantize,
    "com.microsoft::DequantizeLinear": quantized.dequantize,
    "Conv": folded_norms.convolution,
    "ConvTranspose": folded_norms.convolution,
    "com.microsoft::FusedConv": contrib.fused_convolution,
    "com.microsoft::FusedMatMul": contrib.fused_product,
    "com.microsoft::FusedGemm": contrib.fused_gemm,
    "com.microsoft::BiasGelu": contrib.biased_gelu,
    "com.microsoft::FastGelu": contrib.biased_gelu,
    "com.microsoft::QGemm": contrib.quantized_gemm,
    "com.microsoft::MatMulNBits": contrib.blockwise_product,
    "MatMulInteger": integer.product,
    "ConvInteger": integer.product,
    "QLinearConv": quantized.convolution,
    "QLinearMatMul": quantized.product,
}
"""ONNX spelling to handler; a handler says False where the plain way will do."""
