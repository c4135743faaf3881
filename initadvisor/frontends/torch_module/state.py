"""What a forward pass may change in a model and in the process, kept and put back."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from types import FunctionType, ModuleType, TracebackType
from typing import Any

import numpy as np
import torch

_CONTAINERS = (list, dict, set, deque, OrderedDict)


class Guard:
    """Puts a model and the random number generators back as they were, whatever happens inside.

    The numbers of parameters and buffers need no copy: the recorder never computes on the originals.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __enter__(self) -> Guard:
        self._modules = [_Shape(m) for m in self._module.modules()]
        self._random = random.getstate()
        self._numpy = np.random.get_state()
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        self._modes = (torch.is_grad_enabled(), torch.get_default_dtype())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shape in self._modules:
            shape.restore()
        random.setstate(self._random)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        torch.set_grad_enabled(self._modes[0])
        torch.set_default_dtype(self._modes[1])


class _Shape:
    """The attributes of one module, and of the containers and plain objects directly among them."""

    __slots__ = ("_class", "_draws", "_inner", "_module", "_outer")

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._class = type(module)
        self._outer = dict(module.__dict__)
        self._inner = [(value, _copy(value)) for value in self._outer.values() if _holds_state(value)]
        self._draws = [
            (value, _drawn_so_far(value)) for value in self._outer.values() if isinstance(value, _GENERATORS)
        ]

    def restore(self) -> None:
        if type(self._module) is not self._class:
            self._module.__class__ = self._class
        current = self._module.__dict__
        if current.keys() != self._outer.keys() or any(current[k] is not v for k, v in self._outer.items()):
            current.clear()
            current.update(self._outer)
        for container, content in self._inner:
            _refill(container, content)
        for generator, state in self._draws:
            _rewind(generator, state)


_GENERATORS = (torch.Generator, random.Random, np.random.Generator)


def _drawn_so_far(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.getstate() if isinstance(generator, random.Random) else generator.bit_generator.state


def _rewind(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.bit_generator.state = state


def _holds_state(value: Any) -> bool:
    if isinstance(value, _CONTAINERS):
        return True
    if isinstance(value, _GENERATORS):
        return False
    if isinstance(value, torch.nn.Module | torch.Tensor | type | ModuleType | FunctionType):
        return False
    return isinstance(getattr(value, "__dict__", None), dict) and type(value).__module__ != "builtins"


def _copy(value: Any) -> Any:
    if isinstance(value, dict | list | set | deque):
        return value.copy()
    return dict(value.__dict__)


def _refill(value: Any, content: Any) -> None:
    target = value if isinstance(value, dict | list | set | deque) else value.__dict__
    if not _same(target, content):
        target.clear()
        target.extend(content) if isinstance(target, list | deque) else target.update(content)


def _same(target: Any, content: Any) -> bool:
    """Whether a container still holds the very objects that it held, in the same order."""
    if len(target) != len(content):
        return False
    if isinstance(content, dict):
        return all(a is b and target[a] is content[b] for a, b in zip(target, content, strict=True))
    if isinstance(content, set):
        return {id(item) for item in target} == {id(item) for item in content}
    return all(a is b for a, b in zip(target, content, strict=True))
