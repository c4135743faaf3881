"""Which module is running: a stack of module paths, kept by standing in for `nn.Module.__call__`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from initadvisor.frontends.torch_module.lazy import infer
from initadvisor.frontends.torch_module.parameters import Names
from initadvisor.frontends.torch_module.wrappers import callable_of

Call = Callable[..., Any]


class Scopes:
    """The module paths of one recording; every thread has a stack of its own, begun where it was started."""

    def __init__(self, module: torch.nn.Module, names: Names) -> None:
        self.names = names
        self.paths: dict[int, str] = {}
        self.called: Counter[str] = Counter()
        self.unregistered: list[str] = []
        self._stack = threading.local()
        self._kept = [module]
        for path, part in module.named_modules():
            self.paths[id(part)] = path

    def current(self) -> tuple[str, int]:
        """The path of the running module and how many times it was called before."""
        stack = getattr(self._stack, "items", None)
        return stack[-1] if stack else ("", 0)

    def begin(self, place: tuple[str, int]) -> None:
        """Start this thread's stack inside a module call of another thread."""
        self._stack.items = [place]

    def call(self, original: Call, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a module with its path on the stack."""
        path = self.paths.get(id(module))
        if path is None:
            outer = self.current()[0]
            path = f"{outer}.<{type(module).__name__}>" if outer else f"<{type(module).__name__}>"
            self.paths[id(module)] = path
            self._kept.append(module)
            if any(p is not None and self.names.name(p) is None for p in module._parameters.values()):
                self.unregistered.append(path)
        if infer(module, args, kwargs):
            with torch._C.DisableTorchFunction():
                self.names.add_module(module, path)
        items = self._stack.__dict__.setdefault("items", [])
        items.append((path, self.called[path]))
        self.called[path] += 1
        try:
            return callable_of(original, module)(*args, **kwargs)
        finally:
            items.pop()
