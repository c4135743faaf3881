"""From the gradients of a run to the facts of each parameter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from initadvisor.analysis.facts import ParameterProbeFacts
from initadvisor.probe.layer_facts import number
from initadvisor.probe.observation import Observation, ParameterSteps
from initadvisor.probe.site import owner


def parameter_facts(seen: Observation) -> dict[str, ParameterProbeFacts]:
    """Facts of every trainable parameter, by name."""
    steps = seen.parameters
    if steps is None:
        return {}
    relative = relative_gradients(steps, -1)
    every = range(len(steps.names))
    return {steps.names[i]: _facts(seen, steps, i, relative.get(steps.names[i])) for i in every}


def _facts(seen: Observation, steps: ParameterSteps, i: int, relative: float | None) -> ParameterProbeFacts:
    name, size = steps.names[i], steps.sizes[i]
    present = bool(steps.present[:, i].any())
    l1, l2 = steps.l1[:, i], steps.l2[:, i]
    weight = steps.weights[i]
    updates = steps.update[:, i]
    rms = [_rms(a, b, size) for a, b in zip(l1, l2, strict=True)]
    enough = len(l1) >= 2
    return ParameterProbeFacts(
        steps=seen.steps,
        has_gradient=present,
        ran=owner(name) in seen.ran,
        in_optimizer=steps.in_optimizer[i],
        gradient_rms=number(rms[0]) if present else None,
        gradient_rms_last=number(rms[-1]) if present else None,
        gradient_mean_abs=number(l1[0] / size) if present and size else None,
        gradient_mean_abs_max=number(_largest(l1) / size) if present and size else None,
        gradient_spread=number(steps.spread.get(name)),
        asleep=bool(steps.zero[:, i].all()) if present and enough and np.isfinite(l1).all() else None,
        gradient_to_weight=number(rms[0] * np.sqrt(size) / weight) if present and weight > 0 else None,
        update_to_weight=number(updates[-1]) if np.isfinite(updates[-1]) else None,
        largest_update=number(_largest(updates[np.isfinite(updates)])),
        unchanged=bool((steps.unchanged[:, i] > 0).all()) if enough else None,
        unit_gradient_to_weight=number(steps.unit_ratio.get(name)),
        twin_units=number(steps.twins.get(name)),
        relative_gradient=number(relative),
    )


def _rms(l1: float, l2: float, size: float) -> float:
    """From the sum of squares, or from the mean magnitude where the squares were too small for float32."""
    if not size:
        return float("nan")
    return float(l2 / np.sqrt(size) if l2 > 0 else l1 / size)


def _largest(values: Iterable[float]) -> float:
    return max((float(v) for v in values if not np.isnan(v)), default=float("nan"))


def relative_gradients(steps: ParameterSteps, step: int) -> dict[str, float]:
    """Gradient over weight of each weight matrix, as a share of the median over all of them."""
    ratios = {
        name: _rms(steps.l1[step, i], steps.l2[step, i], steps.sizes[i]) * np.sqrt(steps.sizes[i]) / steps.weights[i]
        for i, name in enumerate(steps.names)
        if name in steps.twins and steps.weights[i] > 0
    }
    known = [r for r in ratios.values() if np.isfinite(r)]
    middle = float(np.median(known)) if known else 0.0
    return {name: float(r / middle) for name, r in ratios.items() if np.isfinite(r)} if middle > 0 else {}
