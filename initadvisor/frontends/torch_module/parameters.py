"""The parameters and buffers of a module, under every name they have, and where their elements lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from initadvisor.frontends.sources import ArraySource
from initadvisor.frontends.torch_module.geometry import storage_key
from initadvisor.graph import Parameter

_CODES = {
    torch.bfloat16: torch.uint16,
    **{
        getattr(torch, name): torch.uint8
        for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
        if hasattr(torch, name)
    },
}
"""Types that numpy does not know -> the integer type that holds the same bits."""


class ModuleSource:
    """The elements of a live torch tensor, wherever it lies; nothing is copied before they are asked for."""

    __slots__ = ("_tensor", "dtype", "shape")

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor
        self.dtype = str(tensor.dtype).removeprefix("torch.").removeprefix("q")
        self.shape = tuple(int(d) for d in tensor.shape)

    def _array(self) -> ArraySource:
        tensor = self._tensor.detach()
        if tensor.is_quantized:
            tensor = tensor.int_repr()
        elif tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        tensor = tensor.cpu().resolve_conj().resolve_neg()
        codes = _CODES.get(tensor.dtype)
        return ArraySource((tensor if codes is None else tensor.view(codes)).numpy(), self.dtype, self.shape)

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield the elements in C order as flat float arrays of `elements` each."""
        return self._array().chunks(elements)

    def raw(self) -> np.ndarray | None:
        """The stored elements as a flat read-only view, or None where they are not contiguous."""
        return self._array().raw()

    def part(self, start: int, stop: int) -> Any:
        """The elements [start, stop) in C order as a flat source of their own."""
        return self._array().part(start, stop)


class Names:
    """Every name of every parameter and buffer of a module, tied ones gathered under the first."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self._by_id: dict[int, str] = {}
        self._by_region: dict[tuple[Any, ...], str] = {}
        self.packed: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
        for path, owner in module.named_modules(remove_duplicate=False):
            self._add_own(owner, path, source=True)
            if type(owner).__module__.startswith("torch.ao.nn."):
                self._add_packed(owner, path)

    def add_module(self, owner: torch.nn.Module, path: str) -> None:
        """Enter the tensors of a lazy module that has just got its shapes; their numbers are nobody's."""
        self._add_own(owner, path, source=False)

    def _add_own(self, owner: torch.nn.Module, path: str, source: bool) -> None:
        prefix = f"{path}." if path else ""
        for table, buffer in ((owner._parameters, False), (owner._buffers, True)):
            for name, tensor in table.items():
                if tensor is not None:
                    self.add(prefix + name, tensor, buffer, source)

    def _add_packed(self, owner: torch.nn.Module, path: str) -> None:
        found = unpacked(owner)
        if found is not None:
            key, weight, bias = found
            self.packed[key] = (weight, bias)
            for name, tensor in (("weight", weight), ("bias", bias)):
                if tensor is not None:
                    self.add(f"{path}.{name}" if path else name, tensor, False)

    def add(self, name: str, tensor: torch.Tensor, buffer: bool, source: bool = True) -> None:
        """Enter one name; a tensor of the same memory and shape as an earlier one becomes its alias."""
        if name in self.parameters or isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
            return
        region = _region(tensor)
        first = self._by_id.get(id(tensor)) or (self._by_region.get(region) if region else None)
        self._by_id[id(tensor)] = first or name
        if first is not None:
            known = self.parameters[first]
            if name not in known.aliases:
                known.aliases = (*known.aliases, name)
            return
        if region:
            self._by_region[region] = name
        self.tensors[name] = tensor
        shape = tuple(int(d) for d in tensor.shape)
        dtype = str(tensor.dtype).removeprefix("torch.").removeprefix("q")
        trainable = None if buffer else bool(tensor.requires_grad)
        where = self._source(tensor) if source else None
        self.parameters[name] = Parameter(name, shape, dtype, where, (), trainable, buffer)

    def name(self, tensor: torch.Tensor) -> str | None:
        """The first name of a tensor object, or None for one that the module does not own."""
        return self._by_id.get(id(tensor))

    @staticmethod
    def _source(tensor: torch.Tensor) -> ModuleSource | None:
        if tensor.is_meta:
            return None
        local = getattr(tensor, "_local_tensor", None)  # DTensor: readable without talking to others if it is whole
        if local is not None:
            return ModuleSource(local) if tuple(local.shape) == tuple(tensor.shape) else None
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
            return None
        return ModuleSource(tensor)


def unpacked(module: torch.nn.Module) -> tuple[int, torch.Tensor, torch.Tensor | None] | None:
    """(identity of the packed object, weight, bias) of a module of `torch.ao.nn`, or None where nothing is packed."""
    packed = getattr(module, "_packed_params", None)
    packed = getattr(packed, "_packed_params", packed)
    weight = getattr(module, "weight", None) if packed is not None else None
    return (id(packed), weight(), module.bias()) if callable(weight) else None


def _region(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    if tensor.layout != torch.strided or tensor.numel() == 0:
        return None
    try:
        return storage_key(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
    except (RuntimeError, NotImplementedError):
        return None
