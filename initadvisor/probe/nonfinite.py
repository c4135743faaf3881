"""Which operator made the first NaN or infinity of finite numbers: a step run once more, each operator looked at.

This costs a wait for the device per operator, and is done only after a run has shown that there is something to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name

from initadvisor.frontends.torch_module.trees import leaves

_MASKS = frozenset({"masked_fill", "masked_fill_", "full", "full_like", "new_full", "fill_", "where", "triu", "tensor"})
"""Operators that put infinities in on purpose: an all-masked row is the fault of the softmax behind."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the first non-finite number comes from: the phase, the operator, the path of the module that ran it."""

    phase: str
    op: str
    module: str = ""


@dataclass(slots=True)
class _Event:
    op: str
    module: str
    nan: bool
    parents: list[_Event] = field(default_factory=list)


class Modules:
    """Context: which module runs, by hooks on all of them."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._stack: list[str] = []
        self._handles: list[Any] = []

    @property
    def current(self) -> str:
        """The path of the innermost module that runs."""
        return self._stack[-1] if self._stack else ""

    def __enter__(self) -> Modules:
        """Put the hooks on."""
        for path, part in self._module.named_modules():
            self._handles.append(part.register_forward_pre_hook(lambda *_, path=path: self._stack.append(path)))
            self._handles.append(part.register_forward_hook(self._end, always_call=True))
        return self

    def __exit__(self, *_: Any) -> None:
        """Take them off."""
        for handle in self._handles:
            handle.remove()

    def _end(self, *_: Any) -> None:
        self._stack.pop()


class Tracer(TorchFunctionMode):  # type: ignore[misc]
    """Looks at the result of every operator; `origin` then follows a bad value back to where it was made."""

    def __init__(self, modules: Modules, known: dict[int, str]) -> None:
        super().__init__()
        self._modules = modules
        self._known = known
        self._bad: dict[int, _Event] = {}
        self._kept: list[Any] = []
        self.makers: dict[Any, tuple[str, str]] = {}
        """Backward node -> (operator, module) of the call that made it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out one call and look at what it gives."""
        kwargs = kwargs or {}
        parents = [self._bad[id(t)] for t in leaves((args, kwargs)) if id(t) in self._bad]
        parents += [
            _Event(f"parameter {self._known[id(t)]}", "", True) for t in leaves((args, kwargs)) if self._is_bad_leaf(t)
        ]
        result = func(*args, **kwargs)
        name = _name(func)
        for tensor in leaves(result):
            if not tensor.is_floating_point() or tensor.layout != torch.strided or name.startswith("__get"):
                continue
            if tensor.grad_fn is not None:
                self.makers.setdefault(tensor.grad_fn, (name, self._modules.current))
            if not _finite(tensor):
                event = _Event(name, self._modules.current, bool(torch.isnan(tensor.detach()).any()), parents)
                self._bad[id(tensor)] = event
                self._kept.append(tensor)  # an id is good only as long as its object lives
            else:
                self._bad.pop(id(tensor), None)
        return result

    def _is_bad_leaf(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._known and not _finite(tensor)

    def origin(self, value: torch.Tensor) -> Origin | None:
        """Where a bad value was made, or None where it is finite or was made out of sight."""
        event = self._bad.get(id(value))
        if event is None:
            return None
        path = [event]
        while path[-1].parents:
            path.append(path[-1].parents[0])
        made = [e for e in path if e.op not in _MASKS]
        last = made[-1] if made else path[-1]
        if last.op.startswith("parameter "):
            return Origin("parameter", last.op.removeprefix("parameter "))
        return Origin("forward" if last.module or last is not event else "loss", last.op, last.module)


def backward_origin(loss: torch.Tensor, makers: dict[Any, tuple[str, str]], run: Callable[[], None]) -> Origin | None:
    """The first node of the backward pass that made a bad gradient of good ones, while `run` carries the pass out."""
    found: list[Origin] = []

    def look(node: Any) -> Callable[[Any, Any], None]:
        def hook(inputs: Any, outputs: Any) -> None:
            if found or all(_finite(t) for t in inputs if t is not None):
                return
            if all(_finite(t) for t in outputs if t is not None):
                op, module = makers.get(node, (_plain(node.name()), ""))
                found.append(Origin("backward", op, module))

        return hook

    handles = [node.register_hook(look(node)) for node in _nodes(loss.grad_fn)]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _nodes(root: Any) -> Iterator[Any]:
    waiting, seen = [root], {root}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if "AccumulateGrad" not in node.name():
            yield node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def _plain(name: str) -> str:
    """`SqrtBackward0` -> `sqrt`."""
    return name.rstrip("0123456789").removesuffix("Backward").lower()


def _name(func: Any) -> str:
    try:
        full = resolve_name(func) or ""
    except Exception:  # a callable that torch does not know
        full = ""
    return (full or getattr(func, "__name__", "operator")).rpartition(".")[2]


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())
