"""Quantization: the dequantize of a weight keeps its numbers, up to rounding."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.weighted import convolution_layout, right_matrix_layout

register(
    "dequantize",
    "quantize",
    "input scale zero_point",
    transparent=True,
    torch="torch.dequantize torch.Tensor.dequantize",
    onnx={"DequantizeLinear": {"axis": "dim"}, "com.microsoft::DequantizeLinear": {"axis": "dim"}},
)
register(
    "quantize",
    "quantize",
    "input scale zero_point",
    transparent=True,
    torch={
        "torch.quantize_per_tensor": "input scale zero_point dtype",
        "torch.quantize_per_channel": "input scale zero_point dim dtype",
        "torch.quantize_per_tensor_dynamic": "input dtype reduce_range",
    },
    onnx={"QuantizeLinear": {"axis": "dim"}, "com.microsoft::QuantizeLinear": {"axis": "dim"}},
)
register(
    "fake_quantize",
    "quantize",
    "input scale zero_point",
    transparent=True,
    torch={
        "torch.fake_quantize_per_tensor_affine": "input scale zero_point quant_min quant_max",
        "torch.fake_quantize_per_channel_affine": "input scale zero_point axis quant_min quant_max",
        "torch.fused_moving_avg_obs_fake_quant": "input observer_on fake_quant_on",
    },
)
register("dynamic_quantize", "quantize", "input", transparent=True, onnx="DynamicQuantizeLinear")
register(
    "quantized_conv",
    "weighted",
    "input input_scale input_zero_point weight weight_scale weight_zero_point output_scale output_zero_point bias",
    layouts={"weight": convolution_layout},
    onnx={"QLinearConv": {"strides": "stride", "pads": "padding", "dilations": "dilation", "group": "groups"}},
)
register(
    "integer_conv",
    "weighted",
    "input weight input_zero_point weight_zero_point",
    layouts={"weight": convolution_layout},
    onnx={"ConvInteger": {"strides": "stride", "pads": "padding", "dilations": "dilation", "group": "groups"}},
)
register(
    "quantized_matmul",
    "weighted",
    "left left_scale left_zero_point right right_scale right_zero_point output_scale output_zero_point",
    layouts={"right": right_matrix_layout},
    onnx="QLinearMatMul",
)
register(
    "integer_matmul",
    "weighted",
    "left right left_zero_point right_zero_point",
    layouts={"right": right_matrix_layout},
    onnx="MatMulInteger",
)
for _name in (
    "QLinearAdd",
    "QLinearMul",
    "QLinearGlobalAveragePool",
    "QLinearConcat",
    "QLinearLeakyRelu",
    "QLinearSigmoid",
):
    register(f"quantized_{_name[7:].lower()}", "quantize", "inputs...", onnx=f"com.microsoft::{_name}")
