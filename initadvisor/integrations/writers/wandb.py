"""Weights & Biases: rows of a run's history, against a step of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initadvisor.errors import MissingExtraError, UsageError
from initadvisor.integrations.writers.protocol import PREFIX

if TYPE_CHECKING:
    import numpy as np

STEP = f"{PREFIX}/step"


class WandbWriter:
    """Writes to a run; raises MissingExtraError without wandb, UsageError where there is no run.

    Rows join the next one that the training logs, so that the run's own step count stays what it is.
    """

    def __init__(self, run: Any = None) -> None:
        """run: what `wandb.init` gave, else the current one."""
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("writing for Weights & Biases", package="wandb") from error
        found: Any = run or wandb.run
        if found is None:
            raise UsageError("there is no Weights & Biases run", hint="call wandb.init() first, or give run")
        self.run = found
        self.run.define_metric(STEP)
        self.run.define_metric(f"{PREFIX}/*", step_metric=STEP)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One value for each name."""
        self.run.log({**values, STEP: step}, commit=False)

    def histogram(self, name: str, values: np.ndarray, step: int) -> None:
        """A histogram."""
        import wandb

        self.run.log({name: wandb.Histogram(values.tolist()), STEP: step}, commit=False)

    def text(self, name: str, text: str, step: int) -> None:
        """The text in the run's summary: one that is long is no metric."""
        self.run.summary[name] = text
