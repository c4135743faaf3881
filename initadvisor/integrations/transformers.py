"""The callback for Hugging Face's `Trainer`.

from initadvisor.integrations.transformers import InitAdvisorCallback

trainer = Trainer(model, args, train_dataset=data, callbacks=[InitAdvisorCallback(probe=True)])
"""

from __future__ import annotations

from typing import Any

from initadvisor.errors import MissingExtraError

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise MissingExtraError("the Hugging Face callback", extra="transformers") from error

from initadvisor.integrations.first_batch import first_batch
from initadvisor.integrations.processes import is_first
from initadvisor.integrations.start import StartCheck
from initadvisor.integrations.writers.protocol import tag

__all__ = ["InitAdvisorCallback"]


class InitAdvisorCallback(StartCheck, TrainerCallback):  # type: ignore[misc]
    """Check a model, and probe it on request, before its first training step; arguments as for `StartCheck`.

    The loss is the model's own, or `loss(output, targets)` where one is given: a trainer does not show a callback
    its `compute_loss`. The counts of findings join the state's `log_history`, which is saved with the run.
    A training that goes on from a checkpoint is let be.
    """

    def __init__(self, *, loss: Any = None, **options: Any) -> None:
        """options: those of `StartCheck`."""
        super().__init__(**options)
        self.loss = loss

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Examine the model on the first batch, and tell."""
        if state.global_step > 0:
            return
        optimizer = given.get("optimizer")
        self.examine(
            given["model"],
            lambda: _plain(first_batch(given["train_dataloader"])),
            loss=self.loss,
            # accelerate wraps it
            optimizer=getattr(optimizer, "optimizer", optimizer),
            precision="bf16" if args.bf16 else "fp16" if args.fp16 else "float32",
        )
        if is_first():
            counts: dict[str, float] = {}
            for report in self.reports:
                kind = "check" if report.probe is None else "probe"
                counts |= {tag(kind, name): getattr(report.summary, name) for name in ("error", "warning", "info")}
            if counts:
                state.log_history.append({**counts, "step": state.global_step})
        self.tell(int(state.global_step))


def _plain(batch: Any) -> Any:
    """A dict, where a tokenizer gave what only behaves like one."""
    return dict(batch) if hasattr(batch, "keys") else batch
