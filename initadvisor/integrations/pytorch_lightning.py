"""The callback for `pytorch_lightning`, whose trainers and callbacks are not those of `lightning`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from initadvisor.errors import MissingExtraError

try:
    _Callback: Any = import_module("pytorch_lightning").Callback
except ImportError as error:
    raise MissingExtraError("the callback", package="pytorch-lightning") from error

from initadvisor.integrations.lightning_start import OnFitStart

__all__ = ["InitAdvisorCallback"]


class InitAdvisorCallback(OnFitStart, _Callback):  # type: ignore[misc]
    """Check a module, and probe it on request, before its first training step; arguments as for `StartCheck`."""
