"""What a Lightning callback does when a fit starts, for `lightning` and for `pytorch_lightning`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from initadvisor.errors import UsageError
from initadvisor.integrations.first_batch import first_batch
from initadvisor.integrations.outcome import LOGGER
from initadvisor.integrations.processes import is_first
from initadvisor.integrations.start import StartCheck
from initadvisor.integrations.writers.protocol import tag

_PRECISIONS = {"bf16-mixed": "bf16", "16-mixed": "fp16"}


class OnFitStart(StartCheck):
    """The hook; arguments are those of `StartCheck`. `reports` holds what was found.

    Runs where the training data is ready and no step has been made; a fit that goes on from a checkpoint is let be.
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Examine the module through its own `training_step`, write to the trainer's loggers, and tell."""
        if trainer.global_step > 0:
            return
        with as_forward(pl_module) as why_not:
            self.examine(
                pl_module,
                lambda: {"batch": _batch(trainer)},
                optimizer=trainer.optimizers[0] if len(trainer.optimizers) == 1 else None,
                precision=_PRECISIONS.get(str(trainer.precision), "float32"),
                no_probe=why_not,
            )
        if is_first():
            self._log(trainer)
        self.tell(int(trainer.global_step))

    def _log(self, trainer: Any) -> None:
        for report in self.reports:
            kind = "check" if report.probe is None else "probe"
            counts = {tag(kind, name): float(getattr(report.summary, name)) for name in ("error", "warning", "info")}
            for logger in trainer.loggers:
                try:
                    logger.log_metrics(counts, step=trainer.global_step)
                except Exception as error:
                    LOGGER.warning("initadvisor: %s took no metrics: %s", type(logger).__name__, error)


def _batch(trainer: Any) -> Any:
    """The first training batch, transformed and moved as the trainer does it."""
    loader = trainer.train_dataloader
    batch = first_batch(loader) if not isinstance(loader, Mapping | list | tuple) else _of_several(loader)
    return trainer.strategy.batch_to_device(batch, dataloader_idx=0)


def _of_several(loaders: Any) -> Any:
    if isinstance(loaders, Mapping):
        return {name: first_batch(one) for name, one in loaders.items()}
    return type(loaders)([first_batch(one) for one in loaders])


@contextmanager
def as_forward(module: Any) -> Iterator[str]:
    """Have the module's forward pass be its training step, whose loss it gives; the reason where it cannot be.

    What the step logs is dropped meanwhile: it is none of the training's steps.
    """
    why_not = _why_not(module)
    if why_not:
        yield why_not
        return
    count = len(inspect.signature(module.training_step).parameters)
    held = vars(module)
    before = {name: held[name] for name in ("forward", "log", "log_dict") if name in held}

    def forward(batch: Any) -> Any:
        if "forward" in before:
            held["forward"] = before["forward"]
        else:
            del held["forward"]
        try:
            result = module.training_step(*(batch, 0, 0)[:count])
        finally:
            held["forward"] = forward
        if isinstance(result, torch.Tensor):
            return {"loss": result}
        if result is None:
            raise UsageError("training_step gave no loss for the first batch")
        return result

    silent: Callable[..., None] = lambda *args, **kwargs: None  # noqa: E731
    held.update(forward=forward, log=silent, log_dict=silent)
    try:
        yield ""
    finally:
        for name in ("forward", "log", "log_dict"):
            held.pop(name, None)
        held.update(before)


def _why_not(module: Any) -> str:
    if not module.automatic_optimization:
        return "the module optimizes by itself (automatic_optimization = False)"
    if "dataloader_iter" in inspect.signature(module.training_step).parameters:
        return "training_step takes the iterator of the data"
    return ""
