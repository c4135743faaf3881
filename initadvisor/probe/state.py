"""Everything that a probe may change, kept and put back bit for bit: a run must be harmless.

What a forward pass may change besides numbers (attributes, containers, generators) is kept by the same guard that the
recorder uses; here come the numbers, gradients, flags, the optimizer and the settings of the process.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from initadvisor.frontends.torch_module.state import Guard
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.shards import is_sharded, local, reshard

_DEEPEST = 8
"""Levels of nesting in an optimizer's state that are followed."""


class Untouched:
    """Context: modules, optimizer, generators and settings leave it as they entered, whatever is raised inside.

    modules: what may run (the model, a loss with state). optimizer: one whose steps are to be undone.
    Copies of the numbers lie in host memory, so that they cost no device memory.
    """

    def __init__(self, modules: Iterable[torch.nn.Module], optimizer: torch.optim.Optimizer | None = None) -> None:
        self._modules = tuple(modules)
        self._optimizer = optimizer

    def __enter__(self) -> Untouched:
        """Take the copies; nothing is changed yet."""
        parts = [part for module in self._modules for part in module.modules()]
        parameters = _unique(p for part in parts for p in part._parameters.values() if p is not None)
        held = (t for part in parts for name, value in vars(part).items() for t in _tensors(name, value))
        self._gradients = [(p, p.grad) for p in parameters]
        self._flags = [(p, p.requires_grad) for p in parameters]
        self._numbers = [_Numbers(t) for t in _unique((*parameters, *held, *_state_tensors(self._optimizer)))]
        self._guards = [Guard(module) for module in self._modules]
        for guard in self._guards:
            guard.__enter__()
        self._containers = _containers(vars(self._optimizer)) if self._optimizer is not None else []
        self._process = _Process()
        return self

    def rewind(self) -> None:
        """Put numbers, gradients and the optimizer's state back to run once more from the start."""
        for module in self._modules:
            reshard(module)
        for container in self._containers:
            container.restore()
        for numbers in self._numbers:
            numbers.restore()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Put everything back; an interrupt that comes meanwhile is delivered afterwards."""
        with _Uninterrupted():
            # Before anything else: what is gathered when a pass is cut short hides the shards.
            steps: list[Callable[[], None]] = [lambda m=m: reshard(m) for m in self._modules]  # type: ignore[misc]
            steps.append(self._process.restore)
            # The modules first: they may hold other tensors than they did, where a run moved them to a device.
            steps += [lambda g=g: g.__exit__(kind, error, trace) for g in reversed(self._guards)]  # type: ignore[misc]
            steps += [self.rewind, *(lambda p=p, f=f: _set_flag(p, f) for p, f in self._flags)]  # type: ignore[misc]
            _all(steps)


def _all(steps: Iterable[Callable[[], None]]) -> None:
    """Take every step, whatever one of them raises; the first error is raised at the end."""
    first: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:
            first = first or error
    if first is not None:
        raise first


def _set_flag(parameter: torch.Tensor, flag: bool) -> None:
    if parameter.requires_grad is not flag:
        parameter.requires_grad_(flag)


class _Numbers:
    """The bits of one tensor, and the storage that they lie in."""

    __slots__ = ("_bits", "_tensor", "_view")

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor
        tensor = local(tensor) if is_sharded(tensor) else tensor
        self._view = tensor.data
        self._bits = None if tensor.is_meta else tensor.data.to("cpu", copy=True)

    def restore(self) -> None:
        if is_sharded(self._tensor):
            # Where a shard lies is the business of what gathers it; only the numbers are put back.
            local(self._tensor).copy_(self._bits)
            return
        now = self._tensor.data
        if not _same_place(now, self._view):
            self._tensor.data = self._view
        if self._bits is not None:
            # Through `.data`: the version counter of the original does not move, saved graphs stay usable.
            self._view.copy_(self._bits)


def _same_place(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.device != b.device or a.dtype != b.dtype or a.shape != b.shape or a.layout != b.layout:
        return False
    if a.is_meta or a.layout != torch.strided:
        return True
    return bool(a.data_ptr() == b.data_ptr() and a.stride() == b.stride())


def _unique(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return list({id(t): t for t in tensors}.values())


def _tensors(name: str, value: Any) -> list[torch.Tensor]:
    """The tensors that an attribute of a module holds, its parameters left out."""
    if name in ("_parameters", "_modules"):
        return []
    if isinstance(value, torch.Tensor):
        return [value]
    return leaves(value, 1) if isinstance(value, list | tuple | dict | set) else []


def _state_tensors(optimizer: torch.optim.Optimizer | None) -> Iterator[torch.Tensor]:
    if optimizer is not None:
        yield from leaves([list(optimizer.state.values()), [list(g.values()) for g in optimizer.param_groups]])


class _Container:
    """What a list, dict, set or deque held."""

    __slots__ = ("_content", "_target")

    def __init__(self, target: Any) -> None:
        self._target = target
        self._content = list(target.items()) if isinstance(target, dict) else list(target)

    def restore(self) -> None:
        self._target.clear()
        if isinstance(self._target, dict | set):
            self._target.update(self._content)
        else:
            self._target.extend(self._content)


def _containers(value: Any, depth: int = 0) -> list[_Container]:
    """A container and every one within it, the outer before the inner."""
    if depth > _DEEPEST or not isinstance(value, list | dict | set | deque | tuple):
        return []
    inner = list(value.values()) if isinstance(value, dict) else list(value)
    own = [] if isinstance(value, tuple) else [_Container(value)]
    return own + [found for item in inner for found in _containers(item, depth + 1)]


class _Process:
    """Settings of torch that a run may change, and the generators of accelerators that the guard does not know."""

    def __init__(self) -> None:
        self._values = [(owner, name, getattr(owner, name)) for owner, name in _settings()]
        self._deterministic = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        self._anomaly = (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled())
        self._precision = torch.get_float32_matmul_precision()
        self._mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def restore(self) -> None:
        for owner, name, value in self._values:
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        torch.use_deterministic_algorithms(self._deterministic[0], warn_only=self._deterministic[1])
        torch.autograd.set_detect_anomaly(*self._anomaly)  # type: ignore[attr-defined]
        if torch.get_float32_matmul_precision() != self._precision:
            torch.set_float32_matmul_precision(self._precision)
        if self._mps is not None:
            torch.mps.set_rng_state(self._mps)


def _settings() -> Iterator[tuple[Any, str]]:
    for name in ("enabled", "benchmark", "deterministic"):
        yield torch.backends.cudnn, name


class _Uninterrupted:
    """Holds Ctrl-C back in the main thread until the end of the block."""

    def __enter__(self) -> None:
        self._waiting: list[tuple[Any, ...]] = []
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is not None:
                signal.signal(signal.SIGINT, lambda *event: self._waiting.append(event))

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            if self._waiting and callable(self._before):
                self._before(*self._waiting[0])
