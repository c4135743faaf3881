"""Operators that create tensors from nothing but sizes and numbers."""

from __future__ import annotations

from initadvisor.ops.registry import register

register(
    "zeros",
    "create",
    "",
    torch={"torch.zeros": "size...", "torch.zeros_like": "like", "torch.Tensor.new_zeros": "like size..."}
    | {"torch.Tensor.zero_": "like"},
)
register(
    "ones",
    "create",
    "",
    torch={"torch.ones": "size...", "torch.ones_like": "like", "torch.Tensor.new_ones": "like size..."},
)
register(
    "full",
    "create",
    "value",
    torch={
        "torch.full": "size value",
        "torch.full_like": "like value",
        "torch.Tensor.new_full": "like size value",
        "torch.Tensor.fill_": "like value",
    },
    torch_keywords={"fill_value": "value"},
)
register(
    "empty",
    "create",
    "",
    torch={
        "torch.empty": "size...",
        "torch.empty_like": "like",
        "torch.Tensor.new_empty": "like size...",
        "torch.empty_strided": "size stride",
        "torch.Tensor.new_empty_strided": "like size stride",
        "torch.empty_permuted": "size physical_layout",
    },
)
register("constant_of_shape", "create", "", onnx="ConstantOfShape", onnx_inputs={"ConstantOfShape": "shape"})
register("constant", "create", "", onnx="Constant")
register(
    "tensor",
    "create",
    "",
    torch={"torch.tensor": "data", "torch.as_tensor": "data", "torch.Tensor.new_tensor": "like data"}
    | {"torch.from_numpy": "data", "torch.scalar_tensor": "data", "torch.asarray": "data"},
)
register(
    "arange",
    "create",
    "",
    torch={"torch.arange": "start end step", "torch.range": "start end step"},
    onnx="Range",
    onnx_inputs={"Range": "start end step"},
)
register("linspace", "create", "", torch={"torch.linspace": "start end steps", "torch.logspace": "start end steps"})
register("eye", "create", "", torch={"torch.eye": "n m"}, onnx="EyeLike", onnx_inputs={"EyeLike": "like"})
register(
    "index_pairs", "create", "", torch={"torch.tril_indices": "row col offset", "torch.triu_indices": "row col offset"}
)
for _name, _onnx in (
    ("hann_window", "HannWindow"),
    ("hamming_window", "HammingWindow"),
    ("blackman_window", "BlackmanWindow"),
):
    register(_name, "create", "", torch={f"torch.{_name}": "size periodic"}, onnx=_onnx, onnx_inputs={_onnx: "size"})
