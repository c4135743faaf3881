"""A few forward and backward steps that show how signal and gradient really run; everything is put back afterwards.

`initadvisor.probe` is this package and the function of that name at once, like `initadvisor.apply`. The parts here
take a torch module and the sites to watch (`Site`); where both come from, and what is made of the result, is the
business of `initadvisor.engine.probing`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package, callable."""

    def __call__(self, target: Any, batch: Any = None, loss: Any = None, **options: Any) -> Any:
        """`initadvisor.engine.probing.probe`, imported on the first call."""
        # By name: the function stands above this package, which knows nothing of rules and reports.
        from importlib import import_module

        return import_module("initadvisor.engine.probing").probe(target, batch, loss, **options)


sys.modules[__name__].__class__ = _CallablePackage
