"""Virtual tensors live on the meta device and say that they live on the CPU; moving them elsewhere is a no-op."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._device import _device_constructors

from initadvisor.frontends.torch_module.sites import site
from initadvisor.frontends.torch_module.spellings import spelling
from initadvisor.frontends.torch_module.trees import leaves

_METHODS = """
    dim size stride storage_offset numel nelement ndimension is_contiguous is_floating_point is_complex element_size
    is_signed is_inference is_neg is_conj is_same_size data_ptr untyped_storage storage _typed_storage has_names
    is_shared is_set_to is_pinned dim_order __len__ __hash__ register_hook register_post_accumulate_grad_hook
    retain_grad sym_size sym_numel is_coalesced sparse_dim dense_dim
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


def factory(func: Any) -> Any:
    """The handler of a callable that makes a tensor from sizes and numbers, else None."""
    return _factory if is_factory(func) else None


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


def _created(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """`zeros_like`, `new_ones` ...: the numbers are known although those of the model tensor are not."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    kwargs.pop("device", None)
    model, rest = (args[0], args[1:]) if args else (kwargs.pop("input"), ())
    if not (isinstance(model, torch.Tensor) and model.is_meta and recorder.virtual):
        return recorder.operator(call, func, (model, *rest), kwargs)

    def create(model: torch.Tensor, *rest: Any, **settings: Any) -> torch.Tensor:
        shaped: torch.Tensor = func(model, *rest, **settings)
        if not recorder.twins.stays_real(shaped.numel()):
            return shaped
        return func(torch.empty((), dtype=model.dtype), *rest, **settings) if "new_" in call.name else _like(shaped)

    def _like(shaped: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = func(
            torch.empty_strided(shaped.shape, shaped.stride(), dtype=shaped.dtype), *rest, **kwargs
        )
        return made

    return recorder.operator(call, create, (model, *rest), kwargs)


def _new_tensor(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    (model, data, *rest), kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    kwargs.pop("device", None)
    kwargs.setdefault("dtype", model.dtype)
    return recorder.operator(call, lambda data, **k: torch.tensor(data, **k), (data, *rest), kwargs)


def _drawn(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """A single uniform number decides about skipping (layer drop, stochastic depth): take the side that keeps."""
    result = _factory(recorder, call, func, args, kwargs)
    if result.numel() == 1 and not result.is_meta:
        recorder.tape.event("random", "a random number that may decide about a branch was taken as 0.999", site(3))
        result.fill_(_KEEPS)
    return result


_KEEPS = 0.999
"""Above every usual probability of dropping a layer, below one."""


def _factory(recorder: Any, call: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Create a tensor: on the CPU whatever device was asked for, virtual where it is large."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    device = kwargs.pop("device", None)
    if recorder.virtual and device is not None and torch.device(device).type == "meta":
        kwargs["device"] = "meta"
    elif recorder.virtual and call.name not in _FROM_DATA:
        try:
            large = not all(recorder.twins.stays_real(t.numel()) for t in leaves(func(*args, **kwargs, device="meta")))
        except (RuntimeError, TypeError, NotImplementedError, ValueError):
            large = False
        kwargs["device"] = "meta" if large else "cpu"
    return recorder.operator(call, func, args, kwargs)


_FROM_DATA = frozenset({"tensor", "as_tensor", "from_numpy", "asarray", "sparse_coo_tensor"})
"""Creators that are handed their numbers."""


def _shaped_like(target: str) -> Any:
    """`x.expand_as(y)`: y lends its shape only, so that a real x stays real beside a virtual y."""
    func = getattr(torch.Tensor, target)

    def reshape(recorder: Any, call: Any, _: Any, args: Any, kwargs: Any) -> Any:
        (tensor, *rest), kwargs = recorder.resolve(args), recorder.resolve(kwargs)
        other = rest[0] if rest else kwargs["other"]
        return recorder.operator(spelling(func), func, (tensor, tuple(other.shape)), {})

    return reshape


DEVICES: dict[str, Any] = {
    "torch.Tensor.device.__get__": _device,
    "torch.Tensor.get_device": _answer(-1),
    "torch.Tensor.to": _moved,
    "torch.Tensor.type": _typed,
    "torch.Tensor.is_cpu.__get__": _answer(True),
    **{f"torch.Tensor.{name}.__get__": _answer(False) for name in ("is_cuda", "is_meta")},
    "torch.Tensor.expand_as": _shaped_like("expand"),
    "torch.Tensor.view_as": _shaped_like("view"),
    "torch.Tensor.reshape_as": _shaped_like("reshape"),
    "torch.Tensor.type_as": _moved,
    "torch.Tensor.new_tensor": _new_tensor,
    **{f"torch.Tensor.{name}": _created for name in ("new_zeros", "new_ones", "new_full", "new_empty")},
    **{f"torch.{name}_like": _created for name in ("zeros", "ones", "full", "empty")},
    **{f"torch.{name}": _drawn for name in ("rand",)},
    **{f"torch.Tensor.{name}": _stays for name in ("cuda", "cpu", "xpu", "hpu", "ipu", "pin_memory", "share_memory_")},
}
"""Native name -> handler, for the calls that ask about or change the device."""
