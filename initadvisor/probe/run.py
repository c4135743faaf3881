"""A probe of a torch module at given sites: the steps, what answers a lack of memory, and the way back.

This is the seam for whoever has a module and names of their own: `run(module, sites, batches, ...)`.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from initadvisor.errors import InitAdvisorError, LimitError, TargetCodeError, UsageError
from initadvisor.frontends.references import describe
from initadvisor.frontends.torch_module.lazy import is_lazy, shapeable
from initadvisor.probe.attention import AttentionWatch
from initadvisor.probe.batch import Batch
from initadvisor.probe.checkpointing import blocks, checkpointed
from initadvisor.probe.devices import choose, free_cache, is_out_of_memory
from initadvisor.probe.gradients import Gradients, twin_share
from initadvisor.probe.nonfinite import Origin
from initadvisor.probe.observation import Observation, ParameterSteps
from initadvisor.probe.observer import Observer, collect
from initadvisor.probe.ranks import ALONE, Ranks, is_lost
from initadvisor.probe.reduction import output_spread
from initadvisor.probe.requested import measure_requested
from initadvisor.probe.settings import WAKING, ProbeSettings
from initadvisor.probe.site import Site
from initadvisor.probe.state import Untouched
from initadvisor.probe.training import RankFailed, Training

_ONE_VALUE = "more than 1 value per channel"
"""What torch says where a batch norm would divide by the variance of a single number."""


def run(
    module: torch.nn.Module,
    sites: Sequence[Site],
    batches: Iterable[Batch],
    loss: Any = None,
    settings: ProbeSettings | None = None,
    squashed: str = "",
    ranks: Ranks = ALONE,
) -> Observation:
    """Run a few training steps and give what was seen; module, optimizer and process are as before, also on errors.

    batches: ways to run the model, tried in order until a forward pass comes through. loss: called as
    loss(output, targets), or loss(output) for a batch without targets; None for one that fits. ranks: who runs it with
    this process, each on its own batch: every rank gets the same numbers.
    Raises TargetCodeError where the model's own code raises on each, LimitError where memory runs out at the smallest.
    """
    settings = settings or ProbeSettings()
    if is_lazy(module):
        batches = list(batches)
        module = _with_shapes(module, batches)
    if any(p.is_meta for p in module.parameters()):
        raise LimitError(
            f"{type(module).__name__} has weights without numbers (on the meta device), and a probe computes with them",
            hint="build it on a real device; a model that was too large for the memory here needs a larger machine",
        )
    given = settings.optimizer if isinstance(settings.optimizer, torch.optim.Optimizer) else None
    _check(settings, ranks)
    wanted = "auto" if ranks.sharded else settings.device
    device = choose(wanted, module, stay=ranks.sharded or (given is not None and bool(given.state)))
    others = [loss] if isinstance(loss, torch.nn.Module) else []
    first: BaseException | None = None
    hurried = ranks.hurried(settings.rank_timeout)
    with hurried, warnings.catch_warnings(), Untouched([module, *others], given) as kept, torch.enable_grad():
        warnings.simplefilter("ignore")
        for batch in batches:
            training = Training(module, batch, loss, settings, device, kept, squashed, ranks)
            try:
                return _with_memory(training, sites)
            except _ForwardFailed as failed:
                first = first or failed.__cause__
    if first is None:
        raise UsageError("there is no batch to run the model on", hint="give one: initadvisor.probe(model, batch)")
    raise TargetCodeError(f"the forward pass of {type(module).__name__} raised {describe(first)}") from first


def _check(settings: ProbeSettings, ranks: Ranks) -> None:
    asked = [name for name in ("noise", "jacobian", "sharpness") if getattr(settings, name)]
    if asked and not ranks.alone:
        raise UsageError(
            f"{', '.join(asked)}: not measured over several ranks, since hooks that gather shards have no second "
            "derivative",
            hint="probe a smaller copy of the model in one process",
        )


def _with_shapes(module: torch.nn.Module, batches: Iterable[Batch]) -> torch.nn.Module:
    """A copy of a lazy module that has its shapes: taking them in the module itself could not be undone."""
    first: Exception | None = None
    for batch in batches:
        copy = shapeable(module)
        try:
            with Untouched([module]), torch.no_grad():
                # What is not lazy is shared, and a forward pass may write to it.
                copy(*batch.args, **batch.kwargs)
                return copy
        except Exception as error:
            first = first or error
    if first is None:
        return module
    raise TargetCodeError(
        f"the forward pass of {type(module).__name__} that gives its lazy layers their shapes raised {describe(first)}"
    ) from first


class _ForwardFailed(Exception):
    """The first forward pass of a batch raised: another way to call the model may come through."""


def _with_memory(training: Training, sites: Sequence[Site]) -> Observation:
    """Run; where memory runs out, on half the batch, again and again, then with activations recomputed."""
    notes: list[str] = []
    recompute = False
    while True:
        try:
            context = checkpointed(training.module) if recompute else contextlib.nullcontext()
            with context:
                seen = _observe(training, sites)
            seen.notes[:0] = notes
            return seen
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        gc.collect()
        free_cache(training.device)
        if not training.ranks.alone:
            raise LimitError(
                f"memory of {training.device} ran out with {training.batch.size} samples on rank {training.ranks.rank}",
                hint="give a smaller batch: several ranks cannot choose one while they run",
            )
        smaller = training.batch.halved() if training.batch.size > 2 or recompute else None
        if smaller is not None:
            notes.append(f"memory ran out with {training.batch.size} samples: ran with {smaller.size}")
            training.batch = smaller
        elif not recompute and blocks(training.module):
            recompute = True
            notes.append("memory ran out with the smallest batch: activations of each block were recomputed")
        else:
            count = training.batch.size
            raise LimitError(
                f"memory of {training.device} ran out even with {count} sample{'s' if count != 1 else ''}",
                hint="probe on another device, in bf16, or with smaller inputs",
            )
        training.fitted.clear()


def _observe(training: Training, sites: Sequence[Site]) -> Observation:
    training.begin()
    settings = training.settings
    ranks = training.ranks
    seen = Observation(list(sites), _whole(training.batch, ranks), str(training.device), settings.precision)
    gradients = Gradients(training.parameters, ranks)
    losses: list[torch.Tensor] = []
    outputs: list[torch.Tensor | None] = []
    scales: list[float] = []
    with Observer(training.module, sites, keep=not ranks.alone) as observer:
        watch = AttentionWatch(observer.running)
        try:
            for step in _counted(settings.steps, gradients):
                scales.append(training.scale())
                with watch if step == 0 else contextlib.nullcontext():
                    loss, output = training.step(observer, gradients)
                losses.append(loss)
                outputs.append(output)
                if not bool(torch.isfinite(loss)):
                    break
        except Exception as error:
            if not losses and _ONE_VALUE in str(error):
                seen.failed, seen.failed_at = describe(error), observer.last
            elif (isinstance(error, InitAdvisorError) and not isinstance(error, TargetCodeError)) or is_out_of_memory(
                error
            ):
                raise
            elif isinstance(error, RankFailed):
                raise TargetCodeError(str(error)) from error
            elif not ranks.alone and is_lost(error):
                raise TargetCodeError(
                    f"rank {ranks.rank} waited for another rank in vain",
                    hint="the other rank's error says why; the process group is of no more use",
                ) from error
            elif not losses and not gradients.records and len(observer.passes) == 1 and not training.fitted:
                raise _ForwardFailed from error
            else:
                raise TargetCodeError(f"a training step raised {describe(error)}") from error
        _fill(seen, training, observer, gradients, scales)
    seen.losses = [float(loss) for loss in losses]
    seen.logit_std, seen.logit_spread = _spreads(outputs, ranks)
    seen.entropies = _mean_entropies([(path, float(value)) for path, value in watch.entropies], ranks)
    if seen.failed:
        return seen
    seen.bad_step = _first_bad(seen, scaled=training.scale() != 1.0)
    try:
        if seen.bad_step is not None:
            seen.origin = training.trace(seen.bad_step) or (_first_site(seen) if ranks.sharded else None)
        else:
            seen.requested = measure_requested(training)
    except InitAdvisorError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise TargetCodeError(f"a run of the model after the training steps raised {describe(error)}") from error
    return seen


def _counted(steps: int, gradients: Gradients) -> Iterator[int]:
    """The numbers of the steps, and a few more while some gradient has been exactly zero in all of them."""
    for step in range(steps + WAKING):
        if step >= steps and not _asleep(gradients):
            return
        yield step


def _asleep(gradients: Gradients) -> bool:
    largest = torch.stack([record.l1 for record in gradients.records]).amax(0)
    reached = [any(r.present[i] for r in gradients.records) for i in range(len(largest))]
    return any(there and value == 0 for there, value in zip(reached, largest.tolist(), strict=True))


def _fill(
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
        seen.parameters = _parameters(training, gradients)


def _parameters(training: Training, gradients: Gradients) -> ParameterSteps:
    records = gradients.records
    held = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
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


def _whole(batch: Batch, ranks: Ranks) -> Batch:
    """The batch, its size that of all ranks' together."""
    if ranks.alone:
        return batch
    return replace(
        batch,
        size=sum(ranks.gathered(batch.size)),
        description=f"{batch.description}; one for each of {ranks.count} ranks",
    )


def _mean_entropies(own: list[tuple[str, float]], ranks: Ranks) -> list[tuple[str, float]]:
    """Means over the ranks, where all of them ran the same attention."""
    everyone = ranks.gathered(own)
    if any([path for path, _ in other] != [path for path, _ in own] for other in everyone):
        return own
    return [(path, float(np.mean([other[i][1] for other in everyone]))) for i, (path, _) in enumerate(own)]


def _first_site(seen: Observation) -> Origin | None:
    """Where no operator was named: the module whose output was the first that is not finite."""
    if seen.bad_step is None or seen.bad_step >= len(seen.seen):
        return None
    bad = next((one for one in seen.seen[seen.bad_step] if not one.finite), None)
    return None if bad is None else Origin("forward", "", seen.sites[bad.site].module)


def _spreads(outputs: Sequence[torch.Tensor | None], ranks: Ranks) -> tuple[list[float | None], list[float | None]]:
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


def _first_bad(seen: Observation, scaled: bool) -> int | None:
    """The first step with a loss or a gradient that is not finite; a scaler that skips single steps is at work."""
    bad_loss = [not np.isfinite(loss) for loss in seen.losses]
    bad_gradient = [not bool(np.isfinite(row).all()) for row in seen.parameters.l1] if seen.parameters else []
    if scaled and not all(bad_gradient):
        bad_gradient = []
    for step in range(len(bad_loss)):
        if bad_loss[step] or (step < len(bad_gradient) and bad_gradient[step]):
            return step
    return None
