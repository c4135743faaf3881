"""The graph as it is being recorded: which tensor is which value, and what a write does to the other views.

A tensor is known by its identity; a view or an alias that nobody announced is found by its storage. A write makes a
new value of the written tensor; other views of the same memory catch up when they are next read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, Literal

import numpy as np
import torch

from initadvisor.frontends.torch_module.failure import FailedCall
from initadvisor.frontends.torch_module.geometry import covers, overlap, same_region, storage_key, unwrapped
from initadvisor.graph import Event, Graph, Node, Value

CONSTANT_LIMIT = 65_536
"""Elements up to which a known tensor is kept in its Value (the contract of `Value.constant`)."""


@dataclass(slots=True, eq=False)
class Track:
    """A tensor that the recording knows. `value` is None for a constant that no operator has read yet.

    `constant` marks numbers that depend on neither input nor parameter; the strong reference keeps its id unique.
    """

    tensor: torch.Tensor
    key: int
    value: int | None
    constant: bool
    version: int = 0
    name: str = ""


@dataclass(slots=True)
class _Write:
    version: int
    tensor: torch.Tensor
    value: int | None
    constant: bool


class Tape:
    """Values, nodes and events of one forward pass."""

    def __init__(self, target: str) -> None:
        self.graph = Graph(target=target, source="torch")
        self.same_memory: dict[int, int] = {}
        self.scope, self.call = "", 0
        self.failed: tuple[BaseException, FailedCall] | None = None
        self._by_id: dict[int, Track] = {}
        self._by_key: dict[int, list[Track]] = {}
        self._writes: dict[int, list[_Write]] = {}
        self._version = 0

    def key(self, tensor: torch.Tensor) -> int:
        """The storage of a tensor, the same one for a small real tensor and its virtual twin."""
        key = storage_key(tensor)
        return self.same_memory.get(key, key)

    def known(self, tensor: torch.Tensor) -> Track | None:
        """What the recording knows of this very tensor object."""
        return self._by_id.get(id(tensor))

    def track(
        self, tensor: torch.Tensor, value: int | None, constant: bool = False, name: str = "", key: int | None = None
    ) -> Track:
        """Remember a tensor as the carrier of a value (None: a constant, made into a value when it is read)."""
        track = Track(tensor, self.key(tensor) if key is None else key, value, constant, self._version, name)
        self._by_id[id(tensor)] = track
        self._by_key.setdefault(track.key, []).append(track)
        inner = unwrapped(tensor)
        if inner is not None and id(inner) not in self._by_id:
            self.track(inner, value, constant, name)
        return track

    def alias(self, tensor: torch.Tensor) -> Track | None:
        """Find an unannounced tensor by its wrapped tensor or by its memory."""
        inner = unwrapped(tensor)
        if inner is not None:
            found = self.known(inner) or self.alias(inner)
            return self.track(tensor, self.value(found), found.constant, found.name) if found else None
        relatives = self._by_key.get(self.key(tensor), ())
        for track in reversed(relatives):
            if same_region(track.tensor, tensor):
                return self.track(tensor, self._current(track), track.constant, track.name)
        for track in reversed(relatives):
            if covers(track.tensor, tensor):
                source = self.value(track)
                return self.track(tensor, self.emit("reshape", (source,), [tensor], native="view of known memory")[0])
        return None

    def value(self, track: Track) -> int:
        """The value that a tensor holds now, writes through other views of its memory included."""
        value = self._current(track)
        if value is None:
            value = self.add_value("constant", track.tensor, track.name)
            self.graph.values[value].constant = _numbers(track.tensor)
            track.value = value
        return value

    def write(self, track: Track, value: int | None, constant: bool = False) -> None:
        """The tensor was written in place and holds another value from now on."""
        self._version += 1
        track.value, track.constant, track.version = value, constant, self._version
        self._writes.setdefault(track.key, []).append(_Write(self._version, track.tensor, value, constant))

    def _current(self, track: Track) -> int | None:
        writes = self._writes.get(track.key)
        if not writes or writes[-1].version <= track.version:
            return track.value
        pending = [w for w in writes if w.version > track.version]
        track.version = writes[-1].version
        for write in pending:
            if write.constant and track.constant:
                track.value = None
            elif same_region(write.tensor, track.tensor):
                track.value, track.constant = write.value, write.constant
            elif not overlap(write.tensor, track.tensor):
                continue
            elif covers(write.tensor, track.tensor):
                source = write.value if write.value is not None else self._constant(write.tensor)
                (track.value,) = self.emit("reshape", (source,), [track.tensor], native="view of written memory")
                track.constant = False
            else:
                before = track.value if track.value is not None else self._constant(track.tensor)
                source = write.value if write.value is not None else self._constant(write.tensor)
                (track.value,) = self.emit(
                    "setitem", (before, source), [track.tensor], {"index": "view"}, native="write through a view"
                )
                track.constant = False
        return track.value

    def _constant(self, tensor: torch.Tensor) -> int:
        value = self.add_value("constant", tensor, "")
        self.graph.values[value].constant = _numbers(tensor)
        return value

    def add_value(
        self,
        kind: Literal["input", "parameter", "constant", "result"],
        tensor: torch.Tensor | None,
        name: str,
        producer: int | None = None,
    ) -> int:
        """Append a value of a tensor's shape and type."""
        values = self.graph.values
        shape = tuple(int(d) for d in tensor.shape) if tensor is not None and not tensor.is_nested else None
        dtype = str(tensor.dtype)[6:] if tensor is not None else None
        values.append(Value(len(values), name or f"%{len(values)}", shape, dtype, kind, producer))
        return len(values) - 1

    def number(self, number: Number) -> int:
        """A Python number in a tensor slot."""
        values = self.graph.values
        array = np.asarray(number)
        values.append(Value(len(values), f"%{len(values)}", (), array.dtype.name, "constant", constant=array))
        return len(values) - 1

    def emit(
        self,
        op: str,
        inputs: Iterable[int | None],
        outputs: Sequence[torch.Tensor],
        attrs: dict[str, Any] | None = None,
        *,
        native: str = "",
        line: str | None = None,
    ) -> tuple[int, ...]:
        """Append a node of the current module call and a value for each output; returns the values' ids."""
        nodes = self.graph.nodes
        results = tuple(self.add_value("result", tensor, "", len(nodes)) for tensor in outputs)
        nodes.append(Node(len(nodes), op, tuple(inputs), results, attrs or {}, self.scope, self.call, native, line))
        return results

    def event(self, kind: str, message: str, where: str | None = None) -> None:
        """Note something assumed or guessed, once."""
        known = self.graph.events
        if not any(e.kind == kind and e.message == message and e.where == where for e in known[-50:]):
            known.append(Event(kind, message, where))


def _numbers(tensor: torch.Tensor) -> np.ndarray | None:
    """The elements of a small real tensor as an array, or None."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.numel() > CONSTANT_LIMIT:
        return None
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or unwrapped(tensor) is not None:
        return None
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype.is_floating_point and plain.dtype not in (torch.float16, torch.float32, torch.float64):
        plain = plain.float()
    try:
        return np.array(plain.numpy(), copy=True)
    except (RuntimeError, TypeError):
        return None
