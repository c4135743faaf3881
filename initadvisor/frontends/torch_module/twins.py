"""Virtual tensors: what stands in for a tensor while the forward pass is recorded.

Parameters and large tensors are stood in for by tensors on the meta device, small ones by a real copy, so that
nothing the model does reaches the originals. A small real tensor that meets a virtual one becomes virtual itself,
together with every other view of its memory.
"""

from __future__ import annotations

import torch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from initadvisor.frontends.torch_module.geometry import rewrapped, storage_key, unwrapped
from initadvisor.frontends.torch_module.kernels import material
from initadvisor.frontends.torch_module.parameters import Names
from initadvisor.frontends.torch_module.tape import Tape, Track

REAL_LIMIT = 1 << 20
"""Elements up to which a tensor that is no parameter keeps its real numbers."""

REAL_BUDGET = 1 << 27
"""Bytes of real numbers in one recording after which only tensors of up to `SMALL` elements stay real."""

SMALL = 1 << 14


class Twins:
    """The stand-ins of one recording. `virtual` is False where every operator runs on real numbers."""

    def __init__(self, tape: Tape, names: Names, virtual: bool) -> None:
        self.tape = tape
        self.names = names
        self.virtual = virtual
        self.inputs: dict[int, str] = {}
        self.attributes: dict[int, str] = {}
        self.used: set[str] = set()
        self.real_bytes = 0
        self._twins: dict[int, torch.Tensor] = {}
        self._shadows: dict[int, torch.Tensor] = {}
        self._overwritten: set[int] = set()
        self._originals: dict[int, torch.Tensor] = {}
        self._kept: list[torch.Tensor] = []
        self._by_name: dict[str, torch.Tensor] = {}
        self._storages: dict[int, torch.UntypedStorage] = {}

    def stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor to compute with in the place of `tensor`."""
        twin = self._twins.get(id(tensor))
        if twin is not None:
            return twin
        track = self.tape.known(tensor)
        if track is not None:
            if self._overwritten and track.key in self._overwritten and not tensor.is_meta:
                shadow = self.promote(tensor)
                self.commit(shadow)
                return shadow
            return tensor
        if torch._C._functorch.peek_interpreter_stack() is None or unwrapped(tensor) is not None:
            return self._adopt(tensor)
        with temporarily_clear_interpreter_stack():
            return self._adopt(tensor)

    def track(self, tensor: torch.Tensor) -> Track:
        """What the recording knows of a stand-in."""
        track = self.tape.known(tensor)
        assert track is not None, "stand_in comes first"
        return track

    def numbers(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The real numbers behind a virtual tensor where it stands for a known constant."""
        track = self.tape.known(tensor)
        shadow = self._shadows.get(id(tensor))
        if track is None or track.value is None:
            return None
        if shadow is not None and track.key not in self._overwritten:
            return shadow
        constant = self.tape.graph.values[self.tape.value(track)].constant
        if constant is None or tuple(tensor.shape) != constant.shape:
            return None
        return torch.from_numpy(constant.copy()).to(tensor.dtype)

    def original(self, tensor: torch.Tensor) -> torch.Tensor:
        """The user's own tensor where `tensor` stands in for one, else the tensor itself."""
        return self._originals.get(id(tensor), tensor)

    def promote(self, tensor: torch.Tensor) -> torch.Tensor:
        """The virtual form of a real stand-in, for one operator: the real one stays as it is unless it is written."""
        if tensor.is_meta:
            return tensor
        track = self.track(tensor)
        value = self.tape.value(track)
        inner = unwrapped(tensor)
        shadow = self._on_meta(tensor) if inner is None else rewrapped(tensor, self.promote(self.stand_in(inner)))
        self.tape.same_memory.setdefault(storage_key(shadow), track.key)
        self.tape.track(shadow, value, False, track.name, key=track.key)
        self._shadows[id(shadow)] = tensor
        self._originals[id(shadow)] = self.original(tensor)
        return shadow

    def commit(self, shadow: torch.Tensor) -> None:
        """The virtual form was written: the real numbers of this memory are history."""
        tensor = self._shadows.get(id(shadow))
        if tensor is not None:
            self._link(tensor, shadow)
            self._link(self.original(tensor), shadow)
            self._overwritten.add(self.track(shadow).key)

    def stays_real(self, elements: int) -> bool:
        """Whether a tensor of so many elements may still keep its numbers."""
        return elements <= (REAL_LIMIT if self.real_bytes < REAL_BUDGET else SMALL)

    def _adopt(self, tensor: torch.Tensor) -> torch.Tensor:
        """Make a stand-in for a tensor that was not seen before."""
        name = self.names.name(tensor)
        if name is not None:
            return self._parameter(tensor, name)
        known_input = self.inputs.get(id(tensor))
        if known_input is None:
            inner = unwrapped(tensor)
            if inner is not None:
                return self._wrapped(tensor, inner)
            if self.tape.alias(tensor) is not None:
                return tensor
        twin = self._copy(tensor, keep=not (known_input is not None and tensor.is_floating_point()))
        self._link(tensor, twin)
        self._originals[id(twin)] = tensor
        if known_input is not None:
            self.tape.track(twin, self.tape.add_value("input", twin, known_input), False, known_input)
        elif tensor.is_meta and id(tensor) not in self.attributes:
            (value,) = self.tape.emit("opaque", (), [twin], native="unseen code")
            self.tape.event("opaque", "a tensor came out of code that the recorder could not see")
            self.tape.track(twin, value)
        else:
            self.tape.track(twin, None, True, self.attributes.get(id(tensor), ""))
        return twin

    def _wrapped(self, tensor: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
        """A tensor of vmap or grad: the same wrapper around the stand-in of what it holds."""
        inside = self.stand_in(inner)
        track = self.track(inside)
        wrapper = tensor if inside is inner else rewrapped(tensor, inside)
        self._link(tensor, wrapper)
        self.tape.track(wrapper, self.tape.value(track), False, track.name)
        return wrapper

    def _parameter(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        parameter = self.names.parameters[name]
        self.used.add(name)
        twin = self._by_name.get(name)
        if twin is None:
            whole = not parameter.buffer or tensor.is_meta
            twin = self._on_meta(tensor, share=False) if self.virtual and whole else self._copy(tensor)
            if tensor.requires_grad and tensor.is_floating_point() and twin.is_leaf:
                twin.requires_grad_(True)
            if parameter.is_float or not parameter.buffer or twin.is_meta or twin.dtype in _CODES:
                value = self.tape.add_value("parameter", twin, name)
                self.tape.graph.values[value].parameter = name
                self.tape.track(twin, value, False, name)
            else:  # an index table, a counter: known numbers, not weights
                self.tape.track(twin, None, True, name)
            self._by_name[name] = twin
            self._originals[id(twin)] = tensor
        self._link(tensor, twin)
        return twin

    def _copy(self, tensor: torch.Tensor, keep: bool = True) -> torch.Tensor:
        if self.virtual and (tensor.is_meta or not keep or not self.stays_real(tensor.numel())):
            return self._on_meta(tensor, share=False)
        local = getattr(tensor, "_local_tensor", tensor)
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            return local.detach().clone()
        if tensor.is_meta:  # real mode, and no numbers to copy
            return material(tensor)
        with torch.no_grad():
            twin: torch.Tensor = local.detach().cpu().clone(memory_format=torch.preserve_format)
        return twin

    def _link(self, tensor: torch.Tensor, twin: torch.Tensor) -> None:
        self._twins[id(tensor)] = twin
        self._kept.append(tensor)

    def _on_meta(self, tensor: torch.Tensor, share: bool = True) -> torch.Tensor:
        """A meta tensor of the same geometry; with `share`, in a storage common to all views of the same memory."""
        if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized:
            return torch.empty(tensor.shape, dtype=_plain_type(tensor), device="meta")
        if not share or type(tensor) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
            return torch.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta")
        key = storage_key(tensor)
        storage = self._storages.get(key)
        if storage is None:
            storage = torch.UntypedStorage(tensor.untyped_storage().nbytes(), device="meta")
            self._storages[key] = storage
        empty = torch.empty(0, dtype=tensor.dtype, device="meta")
        return empty.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())


_CODES = frozenset({torch.int8, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2})
"""Types in which quantised weights are kept: a buffer of these holds weights, not indices."""


def _plain_type(tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_quantized else tensor.dtype
