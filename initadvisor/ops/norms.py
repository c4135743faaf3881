"""Normalization layers. `weight` scales and `bias` shifts after normalizing; both may be absent."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional, spell

register(
    "batch_norm",
    "norm",
    "input weight bias running_mean running_var",
    torch={
        "torch.nn.functional.batch_norm": "input running_mean running_var weight bias training momentum eps",
        "torch.batch_norm": "input weight bias running_mean running_var training momentum eps cudnn_enabled",
        "torch.native_batch_norm": "input weight bias running_mean running_var training momentum eps",
    },
    onnx={"BatchNormalization": {"epsilon": "eps", "training_mode": "training"}},
)
register(
    "instance_norm",
    "norm",
    "input weight bias running_mean running_var",
    torch={
        "torch.nn.functional.instance_norm": "input running_mean running_var weight bias use_input_stats momentum eps",
        "torch.instance_norm": "input weight bias running_mean running_var use_input_stats momentum eps cudnn_enabled",
    },
    onnx={"InstanceNormalization": {"epsilon": "eps"}},
)
register(
    "layer_norm",
    "norm",
    "input weight bias",
    torch=functional("layer_norm", "input normalized_shape weight bias eps")
    | {"torch.native_layer_norm": "input normalized_shape weight bias eps"},
    onnx={"LayerNormalization": {"epsilon": "eps"}},
)
register(
    "skip_layer_norm",
    "norm",
    "input skip weight bias linear_bias",
    onnx={"com.microsoft::SkipLayerNormalization": {"epsilon": "eps"}},
)
register(
    "rms_norm",
    "norm",
    "input weight",
    torch=functional("rms_norm", "input normalized_shape weight eps"),
    onnx={
        "RMSNormalization": {"epsilon": "eps"},
        "SimplifiedLayerNormalization": {"epsilon": "eps"},
        "com.microsoft::SimplifiedLayerNormalization": {"epsilon": "eps"},
    },
)
register(
    "group_norm",
    "norm",
    "input weight bias",
    torch={
        "torch.nn.functional.group_norm": "input num_groups weight bias eps",
        "torch.group_norm": "input num_groups weight bias eps cudnn_enabled",
        "torch.native_group_norm": "input weight bias N C HxW num_groups eps",
    },
    onnx={
        "GroupNormalization": {"epsilon": "eps"},
        "com.microsoft::GroupNorm": {"epsilon": "eps", "groups": "num_groups"},
    },
)
register(
    "local_response_norm",
    "norm",
    "input",
    torch=functional("local_response_norm", "input size alpha beta k"),
    onnx={"LRN": {"bias": "k"}},
)
register(
    "normalize",
    "norm",
    "input",
    torch=functional("normalize", "input p dim eps"),
    onnx={"LpNormalization": {"axis": "dim"}},
    onnx_defaults={"LpNormalization": {"dim": -1}},
)
register(
    "mean_variance_norm",
    "norm",
    "input",
    onnx={"MeanVarianceNormalization": {"axes": "dim"}},
    onnx_defaults={"MeanVarianceNormalization": {"dim": (0, 2, 3)}},
)
register("renorm", "norm", "input", torch=spell("renorm", "input p dim maxnorm", inplace=True))
register(
    "weight_norm",
    "norm",
    "v g",
    torch={"torch._weight_norm": "v g dim", "torch._weight_norm_interface": "v g dim"},
)
register(
    "norm_except_dim", "norm", "input", torch={"torch.norm_except_dim": "input pow dim"}, torch_keywords={"v": "input"}
)
