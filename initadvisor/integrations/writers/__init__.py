"""Trackers of experiments: one protocol, and an adapter of a few lines for each.

writer = TensorBoardWriter("runs/one")        # or a SummaryWriter, or Lightning's logger.experiment
initadvisor.watch(model, optimizer, writer=writer)
"""

from __future__ import annotations

from typing import Any

from initadvisor.integrations.writers.protocol import Writer, write_reports

__all__ = ["MlflowWriter", "TensorBoardWriter", "WandbWriter", "Writer", "write_reports"]

_HOMES = {"MlflowWriter": "mlflow", "TensorBoardWriter": "tensorboard", "WandbWriter": "wandb"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
