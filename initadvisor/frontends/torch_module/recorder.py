"""The recorder: a function mode under which one eager forward pass writes itself down as a graph.

Operators are seen as the user wrote them (`F.linear`, `layer_norm`, `lstm` are one node each). Parameters and large
tensors are virtual (see `twins`), so that a pass costs neither memory nor arithmetic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from initadvisor.frontends.torch_module.binding import bind
from initadvisor.frontends.torch_module.data_dependent import HANDLERS
from initadvisor.frontends.torch_module.devices import DEVICES, METADATA, factory
from initadvisor.frontends.torch_module.failure import FailedCall
from initadvisor.frontends.torch_module.guesses import Guesses
from initadvisor.frontends.torch_module.kernels import compute
from initadvisor.frontends.torch_module.patches import descend
from initadvisor.frontends.torch_module.quantised import quantised
from initadvisor.frontends.torch_module.scopes import Scopes
from initadvisor.frontends.torch_module.sites import site
from initadvisor.frontends.torch_module.spellings import Spelling, spelling, variant
from initadvisor.frontends.torch_module.tape import Tape
from initadvisor.frontends.torch_module.trees import leaves, map_tensors
from initadvisor.frontends.torch_module.twins import Twins

Handler = Callable[["Recorder", Spelling, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

_RUNNING_STATISTICS = frozenset({"batch_norm", "instance_norm"})
"""Operators that also write arguments of theirs which nothing downstream reads."""


class Recorder(TorchFunctionMode):  # type: ignore[misc]
    """Records every torch call made while it is active; `tape.graph` is what it wrote."""

    def __init__(self, tape: Tape, twins: Twins, scopes: Scopes, guesses: Guesses) -> None:
        super().__init__()
        self.tape = tape
        self.twins = twins
        self.scopes = scopes
        self.guesses = guesses
        self.virtual = twins.virtual
        self.inside_script = False
        self._lock = threading.RLock()
        self._plans: dict[Any, tuple[Handler, Spelling]] = {}

    def again(self) -> Recorder:
        """The same recording as a mode of another thread."""
        other = Recorder(self.tape, self.twins, self.scopes, self.guesses)
        other._lock, other._plans = self._lock, self._plans
        return other

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out one call on stand-ins and write it down."""
        plan = self._plans.get(func)
        if plan is None:
            plan = self._plans[func] = self._plan(func)
        with self._lock:
            return plan[0](self, plan[1], func, args, kwargs or {})

    def _plan(self, func: Any) -> tuple[Handler, Spelling]:
        call = spelling(func)
        key = call.native
        if key in METADATA:
            return _metadata, call
        if key in HANDLERS:
            return HANDLERS[key], call
        if key.startswith("quantized."):
            return quantised, call
        if key in DEVICES:
            return DEVICES[key], call
        return factory(func) or (_descend if call.descend else _operator), call

    def resolve(self, tree: Any) -> Any:
        """The same arguments with every tensor replaced by its stand-in."""
        return map_tensors(self.twins.stand_in, tree)

    def promote(self, tree: Any) -> Any:
        """The same arguments with every real tensor made virtual."""
        return map_tensors(self.twins.promote, tree)

    def value(self, tensor: torch.Tensor) -> int:
        """The id of the value that a stand-in holds."""
        return self.tape.value(self.twins.track(tensor))

    def operator(self, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
        """Carry out an operator on stand-ins, made virtual together where one of them is, and write it down."""
        call = variant(call, args)
        tensors = leaves((args, kwargs))
        if self.virtual and any(t.is_meta for t in tensors) and not all(t.is_meta for t in tensors):
            args, kwargs = self.promote(args), self.promote(kwargs)
            tensors = leaves((args, kwargs))
        try:
            result = compute(self, call, func, args, kwargs, tensors)
        except Exception as error:
            described = ((tuple(t.shape), str(t.dtype)[6:], self._value_or_none(t)) for t in tensors)
            groups = bind(call, args, kwargs)[1].get("groups", 1)
            op = call.operator.name if call.operator is not None else call.native
            call_that_failed = FailedCall(op, tuple(described), groups if isinstance(groups, int) else 1)
            self.tape.failed = (error, call_that_failed)
            raise
        return self.write_down(call, args, kwargs, tensors, result)

    def _value_or_none(self, tensor: torch.Tensor) -> int | None:
        track = self.tape.known(tensor)
        return track.value if track is not None else None

    def write_down(
        self, call: Spelling, args: Any, kwargs: Mapping[str, Any], tensors: Sequence[torch.Tensor], result: Any
    ) -> Any:
        """Enter a call that was carried out: a node, its values, what it wrote in place."""
        if call.name == "__setitem__" or (result is None and call.inplace):
            targets: list[torch.Tensor] = [args[0]]
            outputs = targets
        elif call.written:
            targets = [t for i in call.written if i < len(args) for t in leaves(args[i])]
            outputs = targets + [t for t in leaves(result) if not any(t is known for known in tensors)]
        else:
            outputs = leaves(result)
            known = {id(t) for t in tensors}
            writes = call.inplace or kwargs.get("inplace") or kwargs.get("out") is not None
            targets = [t for t in outputs if id(t) in known] if writes else []
            if not writes:
                outputs = [t for t in outputs if id(t) not in known]
        if not outputs:
            return map_tensors(self.twins.original, result)
        tracks = [self.twins.track(t) for t in tensors]
        entry = call.operator
        random = entry is not None and entry.family == "random"
        if all(t.constant for t in tracks) and not any(t.is_meta for t in outputs) and not (random or call.descend):
            for output in outputs:
                track = self.tape.known(output)
                if track is not None and any(output is t for t in targets):
                    self.tape.write(track, None, constant=True)
                elif track is None:
                    self.tape.track(output, None, True)
                    self.twins.real_bytes += output.numel() * output.element_size()
            return map_tensors(self.twins.original, result)
        items, attrs = bind(call, args, kwargs)
        if items and (call.name == "copy_" or (random and call.inplace)):
            items[0] = None  # what was there before is gone
        inputs = [
            None if i is None else self.value(i) if isinstance(i, torch.Tensor) else self.tape.number(i)
            for i in items
            if i is None or isinstance(i, torch.Tensor | Number)
        ]
        self.tape.scope, self.tape.call = self.scopes.current()
        name = "opaque" if entry is None else entry.name
        values = self.tape.emit(name, inputs, outputs, attrs, native=call.native, line=site(3))
        for output, value in zip(outputs, values, strict=True):
            track = self.tape.known(output)
            if track is not None and any(output is t for t in targets):
                self.tape.write(track, value)
                self.twins.commit(output)
            else:
                self.tape.track(output, value)
        return map_tensors(self.twins.original, result)


def _metadata(recorder: Recorder, call: Spelling, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*recorder.resolve(args), **kwargs)


def _operator(recorder: Recorder, call: Spelling, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return recorder.operator(call, func, recorder.resolve(args), recorder.resolve(kwargs))


def _descend(recorder: Recorder, call: Spelling, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with recorder.again():
        return descend(func, args, kwargs)
