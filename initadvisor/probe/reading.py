"""Reading what a run left on its device into an observation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch

from initadvisor.probe.batch import Batch
from initadvisor.probe.gradients import Gradients, twin_share
from initadvisor.probe.nonfinite import Origin
from initadvisor.probe.observation import Observation, ParameterSteps
from initadvisor.probe.observer import Observer, collect
from initadvisor.probe.ranks import Ranks
from initadvisor.probe.reduction import output_spread
from initadvisor.probe.training import Training


def fill(
    seen: Observation, training: Training, observer: Observer, gradients: Gradients, scales: Sequence[float]
) -> None:
    """Read all that lies on the device."""
    seen.ran = frozenset(observer.ran)
    seen.norm_batches = observer.norm_batches
    seen.seen = collect(observer)
    for step, scale in zip(seen.seen, scales, strict=False):
        for one in step:
            if one.gradient_norm is not None:
                one.gradient_norm /= scale
    fitted = training.fitted.get(0)
    if fitted is not None:
        seen.loss, seen.classes, seen.drawn = fitted.description, fitted.classes, fitted.drawn
    optimizer = training.optimizer
    seen.optimizer = type(optimizer).__name__
    seen.own_optimizer = training.settings.optimizer is not None
    rate = optimizer.param_groups[0].get("lr")
    seen.learning_rate = None if rate is None else float(rate)
    gradients.finish()
    if gradients.records:
        seen.parameters = parameter_steps(gradients, training.optimizer)


def parameter_steps(gradients: Gradients, optimizer: torch.optim.Optimizer | None) -> ParameterSteps:
    """What was recorded of the parameters, as plain numbers; without an optimizer all count as held by one."""
    records = gradients.records
    groups = [{"params": list(gradients.parameters.values())}] if optimizer is None else optimizer.param_groups
    held = {id(p) for group in groups for p in group["params"]}
    names = list(gradients.parameters)
    nothing = torch.full((len(names),), float("nan"))

    def table(values: Iterable[torch.Tensor | None]) -> np.ndarray:
        return np.stack([(nothing if v is None else v.detach().cpu()).double().numpy() for v in values])

    ratios = sorted(float(v) for v in gradients.unit_ratio.values())
    return ParameterSteps(
        names=names,
        sizes=np.array([p.numel() for p in gradients.parameters.values()], np.float64),
        in_optimizer=[id(p) in held for p in gradients.parameters.values()],
        present=np.array([r.present for r in records]),
        l1=table(r.l1 for r in records),
        l2=table(r.l2 for r in records),
        weights=table([gradients.weights])[0],
        update=table(r.update for r in records),
        unchanged=table(r.unchanged for r in records),
        spread={name: float(v) for name, v in gradients.spread.items()},
        unit_ratio={name: float(v) for name, v in gradients.unit_ratio.items()},
        unit_ratios=ratios,
        twins={name: twin_share(*pair) for name, pair in gradients.rows.items()},
    )


def over_ranks(batch: Batch, ranks: Ranks) -> Batch:
    """The batch, its size that of all ranks' together."""
    if ranks.alone:
        return batch
    return replace(
        batch,
        size=sum(ranks.gathered(batch.size)),
        description=f"{batch.description}; one for each of {ranks.count} ranks",
    )


def mean_entropies(own: list[tuple[str, float]], ranks: Ranks) -> list[tuple[str, float]]:
    """Means over the ranks, where all of them ran the same attention."""
    everyone = ranks.gathered(own)
    if any([path for path, _ in other] != [path for path, _ in own] for other in everyone):
        return own
    return [(path, float(np.mean([other[i][1] for other in everyone]))) for i, (path, _) in enumerate(own)]


def first_site(seen: Observation) -> Origin | None:
    """Where no operator was named: the module whose output was the first that is not finite."""
    if seen.bad_step is None or seen.bad_step >= len(seen.seen):
        return None
    bad = next((one for one in seen.seen[seen.bad_step] if not one.finite), None)
    return None if bad is None else Origin("forward", "", seen.sites[bad.site].module)


def spreads(outputs: Sequence[torch.Tensor | None], ranks: Ranks) -> tuple[list[float | None], list[float | None]]:
    """Standard deviation of the outputs over the samples, and its share of their root mean square, for each step."""
    stds: list[float | None] = []
    shares: list[float | None] = []
    if not ranks.alone:
        stds, shares = map(list, zip(*(output_spread(ranks, o) for o in outputs), strict=True)) if outputs else ([], [])
        return stds, shares
    for output in outputs:
        usable = output is not None and output.ndim > 1 and output.shape[0] > 1
        if output is None or not usable or not bool(torch.isfinite(output).all()):
            stds.append(None)
            shares.append(None)
            continue
        values = output.double() if output.device.type != "mps" else output.float()
        spread = float(values.var(0).mean()) ** 0.5
        rms = float(values.square().mean()) ** 0.5
        stds.append(spread)
        shares.append(spread / rms if rms else None)
    return stds, shares


def largest_rms(tensors: Iterable[torch.Tensor | None], ranks: Ranks) -> float | None:
    """Root mean square of the float tensor with the most elements, over all ranks; None where it is not finite."""
    floats = [t for t in tensors if t is not None and t.is_floating_point() and t.ndim > 1 and t.numel()]
    found = (0.0, 0)
    if floats:
        largest = max(floats, key=torch.Tensor.numel).detach()
        values = largest.double() if largest.device.type != "mps" else largest.float()
        found = (float(values.square().sum()), largest.numel())
    parts = ranks.gathered(found)
    total, count = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return math.sqrt(total / count) if count and math.isfinite(total) else None


def first_bad(seen: Observation, scaled: bool) -> int | None:
    """The first step with a loss or a gradient that is not finite; a scaler that skips single steps is at work."""
    bad_loss = [not np.isfinite(loss) for loss in seen.losses]
    bad_gradient = [not bool(np.isfinite(row).all()) for row in seen.parameters.l1] if seen.parameters else []
    if scaled and not all(bad_gradient):
        bad_gradient = []
    for step in range(len(bad_loss)):
        if bad_loss[step] or (step < len(bad_gradient) and bad_gradient[step]):
            return step
    return None
