"""Short training runs of one model under several initializations, side by side.

`initadvisor.compare` is this package and the function of that name at once, like `initadvisor.probe`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initadvisor.compare.model import Comparison


class _CallablePackage(ModuleType):
    """This package, callable; torch is imported on the first call."""

    def __call__(self, target: Any, *, inits: Any = None, data: Any = "digits", **options: Any) -> Comparison:
        """`initadvisor.compare.api.compare`."""
        from initadvisor.compare.api import compare

        given = {} if inits is None else {"inits": inits}
        return compare(target, data=data, **given, **options)


sys.modules[__name__].__class__ = _CallablePackage
