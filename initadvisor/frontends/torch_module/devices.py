"""Virtual tensors live on the meta device and say that they live on the CPU; moving them elsewhere is a no-op."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._device import _device_constructors

_METHODS = """
    dim size stride storage_offset numel nelement ndimension is_contiguous is_floating_point is_complex element_size
    is_signed is_inference is_neg is_conj is_same_size data_ptr untyped_storage storage _typed_storage has_names
    is_shared is_set_to is_pinned dim_order __len__ __hash__ register_hook register_post_accumulate_grad_hook retain_grad sym_size
    sym_numel is_coalesced sparse_dim dense_dim
"""
_ATTRIBUTES = """
    shape dtype ndim layout requires_grad is_leaf grad_fn is_quantized is_sparse is_sparse_csr is_mkldnn is_nested
    is_inference itemsize nbytes names _version output_nr retains_grad name _base _backward_hooks grad _grad volatile
    is_vulkan is_mps is_xla is_ipu is_ort is_maia is_mtia is_xpu
"""
_FUNCTIONS = """
    is_floating_point is_complex numel is_signed is_same_size result_type promote_types can_cast is_inference is_conj
"""
METADATA = frozenset(
    [f"torch.Tensor.{name}" for name in _METHODS.split()]
    + [f"torch.Tensor.{name}.__get__" for name in _ATTRIBUTES.split()]
    + [f"torch.{name}" for name in _FUNCTIONS.split()]
)
"""Questions about a tensor that need no numbers and make no node."""


def is_factory(func: Any) -> bool:
    """Whether a callable makes a tensor from sizes and numbers (`torch.zeros`, `torch.arange`, `torch.tensor` ...)."""
    return func in _device_constructors()


def _device(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    (tensor,) = recorder.resolve(args[:1])
    return torch.device("cpu") if tensor.is_meta else tensor.device


def _answer(result: Any) -> Any:
    return lambda recorder, call, func, args, kwargs: result


def _moved(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """`to`, `cuda`, `cpu` ...: devices are dropped, types and layouts obeyed."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    tensor, rest = args[0], args[1:]
    if rest and isinstance(rest[0], torch.Tensor):
        rest = (rest[0].dtype, *rest[1:])
    dtype = kwargs.get("dtype")
    for item in rest:
        if isinstance(item, torch.dtype):
            dtype = item
    kept = {k: v for k, v in kwargs.items() if k in ("copy", "memory_format")}
    if dtype is None and not kept.get("copy"):
        return recorder.twins.original(tensor)
    return recorder.operator(call, torch.Tensor.to, (tensor, dtype if dtype is not None else tensor.dtype), kept)


def _stays(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return args[0]


def _typed(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """`x.type()` names the CPU type; `x.type("torch.cuda.HalfTensor")` is a cast."""
    (tensor, *rest), kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    wanted = rest[0] if rest else kwargs.get("dtype")
    if wanted is None:
        return torch.empty(0, dtype=tensor.dtype).type()
    if not isinstance(wanted, torch.dtype):
        name = wanted if isinstance(wanted, str) else f"{wanted.__module__}.{wanted.__name__}"
        wanted = torch.empty(0).type(name.replace("torch.cuda.", "torch.")).dtype
    return recorder.operator(call, torch.Tensor.to, (tensor, wanted), {})


DEVICES: dict[str, Any] = {
    "torch.Tensor.device.__get__": _device,
    "torch.Tensor.get_device": _answer(-1),
    "torch.Tensor.to": _moved,
    "torch.Tensor.type": _typed,
    "torch.Tensor.is_cpu.__get__": _answer(True),
    **{f"torch.Tensor.{name}.__get__": _answer(False) for name in ("is_cuda", "is_meta")},
    **{f"torch.Tensor.{name}": _stays for name in ("cuda", "cpu", "xpu", "hpu", "ipu", "pin_memory", "share_memory_")},
}
"""Native name -> handler, for the calls that ask about or change the device."""
