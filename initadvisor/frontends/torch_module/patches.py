"""What is bent in torch while a recording runs: module calls, the dispatch of Python functions, new threads.

Everything is bent for the whole process and acts only in threads that record; one recording runs at a time.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch._tensor
import torch.functional
import torch.nn.functional

from initadvisor.frontends.torch_module.scripts import scripted_calls

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder

_LOCK = threading.RLock()
_ACTIVE = threading.local()
_CHECKED = (torch.nn.functional, torch.functional, torch._tensor)
_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


def active() -> Recorder | None:
    """The recorder of this thread, or None."""
    return getattr(_ACTIVE, "recorder", None)


def descend(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Run the body of a Python function of torch under the active mode, without dispatching the call itself."""
    _ACTIVE.skip = True
    try:
        return func(*args, **kwargs)
    finally:
        _ACTIVE.skip = False


@contextmanager
def patched(recorder: Recorder) -> Iterator[None]:
    """Bend torch for one recording; everything is put back on the way out."""
    with _LOCK, _module_calls(), _dispatch_checks(), _threads(), _fast_paths(), _eager(), scripted_calls(active):
        _ACTIVE.recorder = recorder
        try:
            yield
        finally:
            _ACTIVE.recorder = None


@contextmanager
def _module_calls() -> Iterator[None]:
    original = torch.nn.Module.__call__

    def call(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        recorder = active()
        if recorder is None:
            return original(self, *args, **kwargs)
        return recorder.scopes.call(original, self, args, kwargs)

    torch.nn.Module.__call__ = call
    try:
        yield
    finally:
        torch.nn.Module.__call__ = original


@contextmanager
def _dispatch_checks() -> Iterator[None]:
    """Let `descend` switch off the first overload check of a Python function: it guards the function's own call."""
    saved: list[tuple[types.ModuleType, str, Any]] = []

    def bent(original: Callable[..., bool]) -> Callable[..., bool]:
        def check(*args: Any) -> bool:
            if getattr(_ACTIVE, "skip", False):
                _ACTIVE.skip = False
                return False
            return original(*args)

        return check

    for module in _CHECKED:
        for name in _CHECKS:
            if hasattr(module, name):
                saved.append((module, name, getattr(module, name)))
                setattr(module, name, bent(getattr(module, name)))
    try:
        yield
    finally:
        for module, name, original in saved:
            setattr(module, name, original)


@contextmanager
def _threads() -> Iterator[None]:
    """Threads that a model starts record too, inside the module call that started them."""
    start, run = threading.Thread.start, threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def bent_start(self: threading.Thread) -> None:
        recorder = active()
        if recorder is not None:
            self._recording = (recorder, recorder.scopes.current(), torch.is_grad_enabled())  # type: ignore[attr-defined]
        start(self)

    def bent_run(self: threading.Thread) -> None:
        recording = getattr(self, "_recording", None)
        if recording is None:
            run(self)
            return
        recorder, place, grad = recording
        _ACTIVE.recorder = recorder
        recorder.scopes.begin(place)
        with torch.set_grad_enabled(grad), recorder.again():
            run(self)

    threading.Thread.start = bent_start  # type: ignore[method-assign]
    threading.Thread._bootstrap_inner = bent_run  # type: ignore[attr-defined]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        threading.Thread._bootstrap_inner = run  # type: ignore[attr-defined]


@contextmanager
def _eager() -> Iterator[None]:
    """Functions behind `torch.compile` run as plain Python; where nothing is compiled there is nothing to import."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def _fast_paths() -> Iterator[None]:
    """Attention and encoder layers take the path that consists of visible operators."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
