"""A plan put into effect: on a torch module, in an ONNX file, as source code; and starts that look at data.

`initadvisor.apply` is this package and the function of that name at once: `initadvisor.apply(model, plan)` works
whether or not something has imported a module from here before, which would bind the name to the package.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from initadvisor.apply.torch_module import Applied
    from initadvisor.plan import Plan


class _CallablePackage(ModuleType):
    """This package, callable; what needs torch is imported when it is asked for."""

    def __getattr__(self, name: str) -> ModuleType:
        if name == "data_driven":
            return import_module("initadvisor.apply.data_driven")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __call__(self, module: torch.nn.Module, plan: Plan, *, device: torch.device | str | None = None) -> Applied:
        """`initadvisor.apply.torch_module.apply`, with torch imported on the first call."""
        from initadvisor.apply.torch_module import apply

        return apply(module, plan, device=device)


sys.modules[__name__].__class__ = _CallablePackage
