"""TorchScript: compiled code, seen one level lower, where C++ hands its operators to the dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder


class Dispatched(TorchDispatchMode):  # type: ignore[misc]
    """Hands every operator that C++ code dispatches to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record one operator; the device it asks for is that of a virtual machine without accelerators."""
        kwargs = dict(kwargs or {})
        if "device" in kwargs:
            kwargs.pop("device")
            if not any(isinstance(a, torch.Tensor) for a in args):
                kwargs["device"] = torch.device("cpu")
        kwargs.pop("pin_memory", None)
        return self._recorder.__torch_function__(func, types, args, kwargs)


@contextmanager
def scripted_calls(active: Callable[[], Recorder | None]) -> Iterator[None]:
    """Record what TorchScript functions and methods do when they are called from Python."""
    kinds = (torch._C.ScriptFunction, torch._C.ScriptMethod)
    saved = [kind.__call__ for kind in kinds]

    def bent(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            recorder = active()
            if recorder is None or recorder.inside_script:
                return original(self, *args, **kwargs)
            recorder.inside_script = True
            try:
                with torch._C.DisableTorchFunction(), Dispatched(recorder):
                    return original(self, *args, **kwargs)
            finally:
                recorder.inside_script = False

        return call

    for kind, original in zip(kinds, saved, strict=True):
        kind.__call__ = bent(original)
    try:
        yield
    finally:
        for kind, original in zip(kinds, saved, strict=True):
            kind.__call__ = original
