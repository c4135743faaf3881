"""Pooling over windows and whole maps; attributes `kernel_size`, `stride`, `padding`, `output_size`."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional

_POOL = {"kernel_shape": "kernel_size", "strides": "stride", "pads": "padding", "dilations": "dilation"}


def _sizes(stem: str) -> str:
    return " ".join(f"{stem}{n}d" for n in (1, 2, 3))


register(
    "max_pool",
    "pool",
    "input",
    torch=functional(
        _sizes("max_pool"),
        "input kernel_size stride padding dilation ceil_mode return_indices",
    )
    | {
        f"{prefix}max_pool{n}d_with_indices": "input kernel_size stride padding dilation ceil_mode return_indices"
        for n in (1, 2, 3)
        for prefix in ("torch.nn.functional.", "torch.", "torch._C._nn.")
    },
    onnx={"MaxPool": _POOL},
)
register(
    "avg_pool",
    "pool",
    "input",
    torch=functional(
        _sizes("avg_pool"), "input kernel_size stride padding ceil_mode count_include_pad divisor_override"
    ),
    onnx={"AveragePool": _POOL},
    onnx_defaults={"AveragePool": {"count_include_pad": 0}},
)
register(
    "adaptive_avg_pool",
    "pool",
    "input",
    torch=functional(_sizes("adaptive_avg_pool"), "input output_size"),
    onnx="GlobalAveragePool",
    onnx_defaults={"GlobalAveragePool": {"output_size": 1}},
)
register(
    "adaptive_max_pool",
    "pool",
    "input",
    torch=functional(_sizes("adaptive_max_pool"), "input output_size return_indices")
    | functional(
        " ".join(f"adaptive_max_pool{n}d_with_indices" for n in (1, 2, 3)), "input output_size return_indices"
    ),
    onnx="GlobalMaxPool",
    onnx_defaults={"GlobalMaxPool": {"output_size": 1}},
)
register(
    "lp_pool",
    "pool",
    "input",
    torch=functional(_sizes("lp_pool"), "input p kernel_size stride ceil_mode"),
    onnx={"LpPool": _POOL},
    onnx_defaults={"LpPool": {"p": 2}},
)
register("global_lp_pool", "pool", "input", onnx="GlobalLpPool", onnx_defaults={"GlobalLpPool": {"p": 2}})
register(
    "fractional_max_pool",
    "pool",
    "input",
    torch=functional(
        " ".join(f"fractional_max_pool{n}d{suffix}" for n in (2, 3) for suffix in ("", "_with_indices")),
        "input kernel_size output_size output_ratio return_indices",
    ),
)
register(
    "max_unpool",
    "pool",
    "input indices",
    torch=functional(_sizes("max_unpool"), "input indices kernel_size stride padding output_size"),
    onnx={"MaxUnpool": {"kernel_shape": "kernel_size", "strides": "stride", "pads": "padding"}},
    onnx_inputs={"MaxUnpool": "input indices output_size"},
)
register(
    "roi_align",
    "pool",
    "input rois batch_indices",
    torch={
        "torchvision.roi_align": "input rois spatial_scale pooled_height pooled_width sampling_ratio aligned",
        "torchvision.ops.roi_align": "input rois output_size spatial_scale sampling_ratio aligned",
        "torchvision.ops.roi_align.roi_align": "input rois output_size spatial_scale sampling_ratio aligned",
    },
    onnx="RoiAlign",
)
for _name, _onnx in (("roi_pool", "MaxRoiPool"), ("ps_roi_align", ""), ("ps_roi_pool", "")):
    register(
        _name,
        "pool",
        "input rois",
        torch={f"torchvision.{_name}": "input rois spatial_scale pooled_height pooled_width"},
        onnx=_onnx,
    )
