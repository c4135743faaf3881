"""MLflow: metrics of a run, texts as artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initadvisor.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import numpy as np

_QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95}


class MlflowWriter:
    """Writes to a run; raises MissingExtraError without mlflow, UsageError where there is no run."""

    def __init__(self, run_id: str | None = None, client: Any = None) -> None:
        """run_id: of the run, else the active one. client: an MlflowClient, else one for the current tracking URI."""
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtraError("writing for MLflow", package="mlflow") from error
        active = mlflow.active_run()
        if run_id is None and active is None:
            raise UsageError("there is no active MLflow run", hint="call mlflow.start_run() first, or give run_id")
        self.run_id = run_id or active.info.run_id
        self.client = client or mlflow.MlflowClient()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One metric for each name, in one request for at most 1000 of them."""
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + 1000])

    def histogram(self, name: str, values: np.ndarray, step: int) -> None:
        """Quantiles: MLflow has no histograms."""
        import numpy as np

        found = np.quantile(values, list(_QUANTILES.values()))
        self.scalars({f"{name}/{key}": float(v) for key, v in zip(_QUANTILES, found, strict=True)}, step)

    def text(self, name: str, text: str, step: int) -> None:
        """A text file among the run's artifacts."""
        self.client.log_text(self.run_id, text, f"{name}-{step}.txt")
