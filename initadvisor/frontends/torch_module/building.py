"""Building a model without its weights: large tensors on the meta device, small ones (tables, norms) real."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

SMALL = 1 << 16
"""Elements up to which a tensor is really made: frequencies, counters, masks, norm weights."""

_FROM_DATA = frozenset({torch.tensor, torch.as_tensor, torch.from_numpy, torch.asarray})


class Weightless(TorchFunctionMode):  # type: ignore[misc]
    """Inside this mode, tensors that are made large are made without numbers, and drawing into them costs nothing.

    Unlike `torch.device("meta")` it keeps the numbers that a model's own code computes with.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Send large creations to the meta device and bring small tensors there where they meet one."""
        kwargs = dict(kwargs or {})
        if func in _device_constructors() and func not in _FROM_DATA:
            return self._create(func, args, kwargs)
        target = args[0] if args else kwargs.get("tensor")
        if isinstance(target, torch.Tensor) and target.is_meta and _writes(func):
            return target
        if isinstance(target, torch.Tensor) and target.is_meta and func in _MOVES:
            return _cast(func, target, args[1:], kwargs)
        try:
            return func(*args, **kwargs)
        except (RuntimeError, NotImplementedError):
            virtual = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor) and a.is_meta]
            if not virtual:
                raise
            return func(*(_meta(a) for a in args), **{k: _meta(v) for k, v in kwargs.items()})

    @staticmethod
    def _create(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _count(args, kwargs) > SMALL:
            kwargs["device"] = "meta"
        made = func(*args, **kwargs)
        # Told by this whether they are ever filled: some code makes its tables only where its weights have numbers.
        return made.fill_(torch.nan) if func in _UNFILLED and made.is_floating_point() else made


_UNFILLED = frozenset({torch.empty, torch.empty_like, torch.empty_strided, torch.empty_permuted})
_MOVES = frozenset({torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda})


def _cast(func: Any, tensor: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """`to`, `cpu`, `cuda` of a tensor without numbers: it stays where it is and takes the type."""
    if func is not torch.Tensor.to:
        return tensor
    types = [a.dtype if isinstance(a, torch.Tensor) else a for a in (*args, *kwargs.values())]
    dtype = next((t for t in types if isinstance(t, torch.dtype)), tensor.dtype)
    cast: torch.Tensor = func(tensor, dtype, copy=bool(kwargs.get("copy", False)))
    return cast


_GEOMETRY = frozenset(
    {"resize_", "resize_as_", "t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_", "set_"}
    | {"as_strided_", "requires_grad_", "detach_", "rename_"}
)
"""In-place methods that change more than the numbers."""


def _writes(func: Any) -> bool:
    """Whether a callable only writes numbers into its first argument: a draw, a fill, in-place arithmetic."""
    name = getattr(func, "__name__", "")
    return name.endswith("_") and not name.endswith("__") and name not in _GEOMETRY


def _count(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """The elements that a creation asks for, as far as its arguments are sizes."""
    sizes = kwargs.get("size", args)
    if isinstance(sizes, int):
        return sizes
    if len(sizes) and isinstance(sizes[0], tuple | list | torch.Size):
        sizes = sizes[0]
    count = 1
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool):
            break
        count *= max(size, 0)
    return count


def _meta(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if type(value) in (list, tuple):
        return type(value)(_meta(v) for v in value)
    return value


def forget_unfilled(module: torch.nn.Module) -> None:
    """Take the numbers from parameters and buffers that nothing was written to: what they hold is no draw."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is None or tensor.is_meta or not tensor.is_floating_point() or not tensor.numel():
                    continue
                if bool(tensor.isnan().all()):
                    empty = tensor.detach().to("meta")
                    tensors[name] = (
                        torch.nn.Parameter(empty, tensor.requires_grad) if name in part._parameters else empty
                    )
