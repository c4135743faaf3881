"""initadvisor: a linter and advisor for the state that a neural network is in before training.

    report = initadvisor.check(model)

Importing this package imports neither torch nor onnx nor numpy; `check` brings what the target needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initadvisor.engine import check
    from initadvisor.errors import InitAdvisorError
    from initadvisor.report import Report

__version__ = "0.1.0"

__all__ = ["InitAdvisorError", "Report", "__version__", "check"]

_HOMES = {
    "InitAdvisorError": "initadvisor.errors",
    "Report": "initadvisor.report",
    "check": "initadvisor.engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
