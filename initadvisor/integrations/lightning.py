"""The callback for `lightning`.

from initadvisor.integrations.lightning import InitAdvisorCallback

trainer = Trainer(callbacks=[InitAdvisorCallback(probe=True)])
"""

from __future__ import annotations

from initadvisor.errors import MissingExtraError

try:
    from lightning.pytorch.callbacks import Callback
except ImportError as error:
    raise MissingExtraError("the Lightning callback", package="lightning") from error

from initadvisor.integrations.lightning_start import OnFitStart

__all__ = ["InitAdvisorCallback"]


class InitAdvisorCallback(OnFitStart, Callback):  # type: ignore[misc]
    """Check a module, and probe it on request, before its first training step; arguments as for `StartCheck`."""
