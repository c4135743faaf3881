"""The shapes that canonical operators make of the shapes they read, one rule an operator.

A rule gets the input shapes in the order of the slots and the canonical attributes; it may fail on what does not fit
and on an attribute that is missing because the model computes it: its caller takes that for "unknown". `None` stands
for an unknown shape or size.
"""

from __future__ import annotations

from initadvisor.frontends.onnx_model.shape_rules import arrangement, lookups, products, windows
from initadvisor.frontends.onnx_model.shape_rules.elementwise import broadcast, first, same_everywhere, second
from initadvisor.frontends.onnx_model.shape_rules.rule import ManyRule, Rule

RULES: dict[str, Rule] = {
    **dict.fromkeys(("identity", "cast", "trilu", "cumsum", "cumprod", "reverse_sequence", "roll", "flip"), first),
    **dict.fromkeys(("quantize", "dequantize", "fake_quantize"), first),
    **dict.fromkeys(("softmax", "log_softmax", "hardmax", "scatter", "scatter_nd", "tensor_scatter"), first),
    **dict.fromkeys(("rotary_embedding", "microsoft_rotary_embedding"), first),
    "gather": second,
    "where": broadcast,
    "slice": arrangement.sliced,
    "reshape": arrangement.reshape,
    "permute": arrangement.permute,
    "squeeze": arrangement.squeeze,
    "unsqueeze": arrangement.unsqueeze,
    "cat": arrangement.cat,
    "expand": lambda inputs, attrs: broadcast((inputs[0], attrs["shape"]), attrs),
    "repeat": arrangement.repeat,
    "pad": arrangement.pad,
    "flatten": arrangement.flatten,
    "pixel_shuffle": arrangement.pixel,
    "pixel_unshuffle": arrangement.pixel,
    "matmul": products.matmul,
    "linear": products.linear,
    "gemm": products.gemm,
    "einsum": products.einsum,
    "embedding": lookups.embedding,
    "index_select": lookups.index_select,
    "gather_nd": lookups.gather_nd,
    "one_hot": lookups.one_hot,
    "nonzero": lambda inputs, attrs: None if inputs[0] is None else (len(inputs[0]), None),
    "shape_of": lambda inputs, attrs: None if inputs[0] is None else (len(inputs[0]),),
    "size_of": lambda inputs, attrs: (),
    "arange": lambda inputs, attrs: (None,),
    "rand": lambda inputs, attrs: attrs.get("size", inputs[0] if inputs else None),
    "randn": lambda inputs, attrs: attrs.get("size", inputs[0] if inputs else None),
    "scaled_dot_product_attention": products.attention,
    **dict.fromkeys(("quantized_leakyrelu", "quantized_sigmoid"), first),
    **dict.fromkeys(("quantized_add", "quantized_mul"), lambda inputs, attrs: broadcast((inputs[0], inputs[3]), attrs)),
    "quantized_globalaveragepool": windows.global_pooling,
    "conv": windows.convolution,
    "conv_transpose": windows.transposed_convolution,
    "deform_conv": windows.convolution,
    "avg_pool": windows.pooling,
    "lp_pool": windows.pooling,
    "adaptive_avg_pool": windows.global_pooling,
    "adaptive_max_pool": windows.global_pooling,
    "global_lp_pool": windows.global_pooling,
    "interpolate": windows.resizing,
    **dict.fromkeys(("det", "multinomial", "tfidf"), lambda inputs, attrs: None),
}
"""Operator -> the shape of its first output."""

MANY: dict[str, ManyRule] = {
    "split": arrangement.split,
    "topk": lookups.topk,
    "dropout": same_everywhere,
    "dynamic_quantize": lambda inputs, attrs, count: (inputs[0], (), ()),
    "max_pool": windows.max_pooling,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu", "onnx_lstm", "onnx_gru", "onnx_rnn"), products.recurrent),
}
"""Operator -> the shapes of all its outputs."""

FAMILIES: dict[str, Rule] = {
    **dict.fromkeys(("activation", "random", "norm"), first),
    **dict.fromkeys(("elementwise", "compare"), broadcast),
    "reduce": lookups.reduce,
}
"""Operator family -> the shape of the first output, for operators without a rule of their own."""
