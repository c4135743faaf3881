"""Two consecutive steps of a training, recorded: forward pass, gradients, updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from initadvisor.integrations.watching.live import LiveObserver
from initadvisor.probe.batch import Batch
from initadvisor.probe.gradients import Gradients
from initadvisor.probe.observation import Observation
from initadvisor.probe.observer import collect
from initadvisor.probe.reading import first_site, parameter_steps
from initadvisor.probe.site import Site

STEPS = 2
"""Steps of a window: what a zero gates for one step is asleep, what is zero twice in a row on other data is not."""


class Window:
    """Hooks on a module for `STEPS` steps of an optimizer; `observed` reads what they saw and takes them off."""

    def __init__(self, module: torch.nn.Module, sites: Sequence[Site]) -> None:
        """sites: where to look; none for a compiled module."""
        self.module = module
        self.gradients = Gradients({n: p for n, p in module.named_parameters() if p.requires_grad})
        self._observer = LiveObserver(module, sites) if sites else None
        self._scales: list[float] = []
        if self._observer is not None:
            self._observer.__enter__()
            self._observer.next_step()

    @property
    def steps(self) -> int:
        """Steps that were recorded so far."""
        return len(self.gradients.records)

    def before_update(self) -> None:
        """Keep what the update is compared with."""
        self.gradients.before_update()

    def gradients_ready(self, unscaled: float = 1.0, scale: float = 1.0) -> bool:
        """Measure the gradients; False where there are none.

        unscaled: what they are still multiplied by. scale: what those of the outputs were multiplied by.
        """
        if all(p.grad is None for p in self.gradients.parameters.values()):
            return False
        self.gradients.backward_done()
        self._scales.append(scale)
        if unscaled != 1.0:
            record, first = self.gradients.records[-1], len(self.gradients.records) == 1
            record.l1, record.l2 = record.l1 / unscaled, record.l2 / unscaled
            for table in (self.gradients.spread, self.gradients.unit_ratio) if first else ():
                table.update({name: value / unscaled for name, value in table.items()})
        return True

    def updated(self) -> None:
        """Measure the update, and get ready for the next step."""
        self.gradients.after_update()
        if self._observer is not None:
            self._observer.next_step()

    def close(self) -> None:
        """Take the hooks off."""
        if self._observer is not None:
            self._observer.__exit__()

    def observed(self, optimizer: torch.optim.Optimizer | None, scaled: bool) -> Observation:
        """What was seen, as the probe tells it; waits for the device."""
        self.close()
        where = next(self.module.parameters()).device
        seen = Observation([], Batch(description="the training's own batches"), str(where), "as trained")
        seen.loss, seen.drawn = "the training's own loss", False
        seen.losses = [float("nan")] * self.steps
        seen.seen = [[] for _ in range(self.steps)]
        observer = self._observer
        if observer is not None:
            seen.sites, seen.ran, seen.norm_batches = (
                list(observer.sites),
                frozenset(observer.ran),
                observer.norm_batches,
            )
            seen.batch = Batch(description="the training's own batches", size=observer.samples)
            for step, (passed, scale) in enumerate(zip(collect(observer), self._scales, strict=False)):
                for one in passed:
                    if one.gradient_norm is not None:
                        one.gradient_norm /= scale
                seen.seen[step] = passed
        else:
            seen.ran = frozenset(path for path, _ in self.module.named_modules())
        seen.logit_std = seen.logit_spread = [None] * self.steps
        self.gradients.finish()
        seen.parameters = parameter_steps(self.gradients, optimizer)
        if optimizer is not None:
            rate = optimizer.param_groups[0].get("lr")
            seen.optimizer, seen.own_optimizer = type(optimizer).__name__, True
            seen.learning_rate = None if rate is None else float(rate)
        seen.bad_step = _first_bad(seen, scaled)
        seen.origin = first_site(seen) if seen.bad_step is not None else None
        return seen


def _first_bad(seen: Observation, scaled: bool) -> int | None:
    """The first step with an output or a gradient that is not finite; a loss scaler expects such gradients."""
    assert seen.parameters is not None
    for step, passed in enumerate(seen.seen):
        bad = not all(one.finite for one in passed)
        if bad or (not scaled and not bool(np.isfinite(seen.parameters.l1[step]).all())):
            return step
    return None


def samples_of(parameters: Mapping[str, torch.nn.Parameter], count: int = 4096) -> dict[str, dict[str, np.ndarray]]:
    """Finite elements of each parameter and of its gradient, evenly spread, for histograms."""
    found: dict[str, dict[str, np.ndarray]] = {"weights": {}, "gradients": {}}
    for name, parameter in parameters.items():
        for kind, tensor in (("weights", parameter), ("gradients", parameter.grad)):
            if tensor is None or tensor.layout != torch.strided or not tensor.numel():
                continue
            flat = tensor.detach().reshape(-1)[:: max(1, tensor.numel() // count)].float().cpu().numpy()
            flat = flat[np.isfinite(flat)]
            if flat.size:
                found[kind][name] = flat
    return found
