"""Operators that rearrange, cast, join or part tensors without changing a number."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional, spell


def _view(name: str, torch: dict[str, str], **entry: object) -> None:
    register(name, "shape", "input", transparent=True, torch=torch, **entry)


_view(
    "reshape",
    {
        "torch.reshape": "input shape",
        "torch.Tensor.reshape": "input shape...",
        "torch.Tensor.view": "input shape...",
        "torch.Tensor._unsafe_view": "input shape",
        "torch._reshape_alias": "input shape",
        "torch.Tensor.resize_": "input shape...",
        "torch.Tensor.resize": "input shape...",
        "torch.view_copy": "input shape",
        "torch.Tensor.reshape_as": "input other",
        "torch.Tensor.view_as": "input other",
    },
    onnx="Reshape",
    onnx_inputs={"Reshape": "input shape"},
)
_view(
    "flatten",
    spell("flatten", "input start_dim end_dim") | spell("ravel", "input"),
    onnx={"Flatten": {"axis": "start_dim"}},
)
_view(
    "unflatten",
    {"torch.unflatten": "input dim sizes", "torch.Tensor.unflatten": "input dim sizes"},
)
_view(
    "permute",
    {"torch.permute": "input dims", "torch.Tensor.permute": "input dims...", "torch.permute_copy": "input dims"},
    onnx={"Transpose": {"perm": "dims"}},
)
_view("movedim", spell("movedim moveaxis", "input source destination"))
_view("transpose", spell("transpose swapaxes swapdims", "input dim0 dim1", inplace=True))
_view(
    "matrix_transpose",
    spell("t adjoint", "input", also="torch.Tensor.t_")
    | {f"torch.Tensor.{name}.__get__": "input" for name in ("T", "mT", "H", "mH")},
)
_view(
    "squeeze",
    spell("squeeze", "input dim", inplace=True),
    onnx={"Squeeze": {"axes": "dim"}},
    onnx_inputs={"Squeeze": "input dim"},
)
_view(
    "unsqueeze",
    spell("unsqueeze", "input dim", inplace=True),
    onnx={"Unsqueeze": {"axes": "dim"}},
    onnx_inputs={"Unsqueeze": "input dim"},
)
_view(
    "expand",
    {
        "torch.Tensor.expand": "input shape...",
        "torch.broadcast_to": "input shape",
        "torch.Tensor.broadcast_to": "input shape",
        "torch.Tensor.expand_as": "input other",
        "torch.expand_copy": "input shape",
    },
    onnx="Expand",
    onnx_inputs={"Expand": "input shape"},
)
_view(
    "repeat",
    {"torch.Tensor.repeat": "input repeats...", "torch.tile": "input repeats", "torch.Tensor.tile": "input repeats..."},
    onnx="Tile",
    onnx_inputs={"Tile": "input repeats"},
)
_view("repeat_interleave", spell("repeat_interleave", "input repeats dim"))
_view("flip", spell("flip", "input dims") | spell("fliplr flipud", "input") | spell("rot90", "input k dims"))
_view("roll", spell("roll", "input shifts dims"))
_view("as_strided", spell("as_strided", "input size stride storage_offset", inplace=True))
_view("unfold_windows", {"torch.Tensor.unfold": "input dimension size step"})
_view("atleast_nd", {f"torch.functional.atleast_{n}d": "input" for n in (1, 2, 3)})
_view(
    "pixel_shuffle",
    functional("pixel_shuffle", "input upscale_factor"),
    onnx={"DepthToSpace": {"blocksize": "upscale_factor"}},
)
_view(
    "pixel_unshuffle",
    functional("pixel_unshuffle", "input downscale_factor"),
    onnx={"SpaceToDepth": {"blocksize": "downscale_factor"}},
)
_view("channel_shuffle", functional("channel_shuffle native_channel_shuffle", "input groups"))
_view(
    "identity",
    spell("clone detach contiguous", "input", inplace=False)
    | {"torch.Tensor.detach_": "input", "torch.Tensor.data.__get__": "input", "torch.detach_copy": "input"}
    | {f"torch.Tensor.{name}": "input" for name in ("cpu", "cuda", "pin_memory", "requires_grad_", "share_memory_")}
    | {f"torch.{prefix}{name}": "input" for prefix in ("", "Tensor.") for name in ("resolve_conj", "resolve_neg")}
    | {"torch.Tensor.as_subclass": "input cls", "torch.Tensor.alias": "input", "torch.Tensor.coalesce": "input"}
    | {"torch.Tensor.to_dense": "input", "torch.Tensor.lift_fresh": "input"},
    onnx="Identity",
)
_view(
    "cast",
    {
        f"torch.Tensor.{name}": "input memory_format"
        for name in ("float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool", "cfloat")
    }
    | {
        "torch.Tensor.to": "input dtype",
        "torch.Tensor.type": "input dtype",
        "torch.Tensor._autocast_to_reduced_precision": "input",
        "torch.Tensor._autocast_to_full_precision": "input",
        "torch.Tensor.type_as": "input other",
    },
    onnx_inputs={"CastLike": "input like"},
    onnx={"Cast": {"to": "dtype"}, "CastLike": {}, "BitCast": {"to": "dtype"}},
)
_view("view_as_complex", {"torch.view_as_complex": "input", "torch.view_as_complex_copy": "input"})
_view(
    "view_as_real",
    {"torch.view_as_real": "input", "torch.view_as_real_copy": "input"},
)
for _part in ("real", "imag"):
    _view(f"{_part}_part", {f"torch.{_part}": "input", f"torch.Tensor.{_part}.__get__": "input"})

register(
    "cat",
    "shape",
    "tensors...",
    transparent=True,
    torch={f"torch.{name}": "tensors... dim" for name in ("cat", "concat", "concatenate")}
    | {f"torch.{name}": "tensors..." for name in ("hstack", "vstack", "dstack", "column_stack", "row_stack")},
    onnx={"Concat": {"axis": "dim"}},
)
register(
    "stack",
    "shape",
    "tensors...",
    transparent=True,
    torch={"torch.stack": "tensors... dim"},
    onnx={"ConcatFromSequence": {"axis": "dim"}},
)
register(
    "split",
    "shape",
    "input",
    transparent=True,
    torch=spell("split unsafe_split", "input split_size_or_sections dim", also="torch.functional.split")
    | spell("split_with_sizes unsafe_split_with_sizes", "input split_size_or_sections dim")
    | spell("tensor_split", "input indices_or_sections dim")
    | spell("hsplit vsplit dsplit", "input split_size_or_sections"),
    torch_keywords={"split_size": "split_size_or_sections", "split_sizes": "split_size_or_sections"},
    onnx={"Split": {"axis": "dim", "split": "split_size_or_sections"}},
    onnx_inputs={"Split": "input split_size_or_sections"},
)
register(
    "chunk",
    "shape",
    "input",
    transparent=True,
    torch=spell("chunk unsafe_chunk", "input chunks dim"),
)
register("unbind", "shape", "input", transparent=True, torch=spell("unbind", "input dim", also="torch.Tensor.__iter__"))
register(
    "broadcast_tensors",
    "shape",
    "tensors...",
    transparent=True,
    torch={"torch.functional.broadcast_tensors": "tensors...", "torch.broadcast_tensors": "tensors..."},
)
register(
    "pad",
    "shape",
    "input",
    torch=functional("pad", "input pad mode value") | {"torch.constant_pad_nd": "input pad value"},
    onnx="Pad",
    onnx_inputs={"Pad": "input pads value axes"},
)
register(
    "unfold",
    "shape",
    "input",
    torch=functional("unfold im2col", "input kernel_size dilation padding stride"),
)
register(
    "fold",
    "shape",
    "input",
    torch=functional("fold col2im", "input output_size kernel_size dilation padding stride"),
    onnx={"Col2Im": {"dilations": "dilation", "pads": "padding", "strides": "stride"}},
    onnx_inputs={"Col2Im": "input output_size kernel_size"},
)
register(
    "interpolate",
    "shape",
    "input",
    torch=functional(
        "interpolate upsample", "input size scale_factor mode align_corners recompute_scale_factor antialias"
    )
    | {f"torch.nn.functional.upsample_{mode}": "input size scale_factor" for mode in ("nearest", "bilinear")},
    onnx={"Resize": {}, "Upsample": {"scales": "scale_factor"}},
    onnx_inputs={"Resize": "input roi scale_factor size", "Upsample": "input scale_factor"},
)
register(
    "grid_sample",
    "shape",
    "input grid",
    torch=functional("grid_sample", "input grid mode padding_mode align_corners"),
    onnx="GridSample",
)
register(
    "affine_grid",
    "shape",
    "theta",
    torch=functional("affine_grid", "theta size align_corners"),
    onnx="AffineGrid",
    onnx_inputs={"AffineGrid": "theta size"},
)
register(
    "diagonal",
    "shape",
    "input",
    transparent=True,
    torch=spell("diagonal", "input offset dim1 dim2") | spell("diag", "input diagonal"),
)
register(
    "diag_embed",
    "shape",
    "input",
    torch=spell("diag_embed", "input offset dim1 dim2") | spell("diagflat", "input offset"),
)
register("cartesian_prod", "shape", "tensors...", torch="torch.functional.cartesian_prod")
register("meshgrid", "shape", "tensors...", torch="torch.functional.meshgrid torch.meshgrid")
register(
    "pack_sequence",
    "shape",
    "input lengths",
    transparent=True,
    torch={"torch._pack_padded_sequence": "input lengths batch_first"},
)
register(
    "pad_sequence",
    "shape",
    "input batch_sizes",
    transparent=True,
    torch={"torch._pad_packed_sequence": "input batch_sizes batch_first padding_value total_length"},
)
register("kron", "shape", "input other", torch=spell("kron", "input other"))
register("block_diag", "shape", "tensors...", torch="torch.functional.block_diag")
register(
    "shape_of",
    "other",
    "input",
    torch={"torch.Tensor.shape.__get__": "input", "torch.Tensor.size": "input dim", "torch._shape_as_tensor": "input"},
    onnx="Shape",
)
register("size_of", "other", "input", torch=spell("numel", "input", also="torch.Tensor.nelement"), onnx="Size")
register("dims_of", "other", "input", torch="torch.Tensor.dim torch.Tensor.ndimension torch.Tensor.ndim.__get__")
register("center_crop_pad", "shape", "input", onnx={"CenterCropPad": {}}, onnx_inputs={"CenterCropPad": "input shape"})
