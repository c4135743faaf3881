"""The torch implementations of ONNX operators, a file a family; importing this package registers them."""

from initadvisor.probe.onnx_torch.operators import (
    casts,
    control,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    norms,
    pooling,
    quantization,
    recurrent,
    reductions,
    resize,
    sequences,
    shapes,
    signal,
)

__all__ = [
    "casts",
    "control",
    "convolution",
    "creation",
    "elementwise",
    "indexing",
    "linear",
    "norms",
    "pooling",
    "quantization",
    "recurrent",
    "reductions",
    "resize",
    "sequences",
    "shapes",
    "signal",
]
