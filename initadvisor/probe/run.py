"""A probe of a torch module at given sites: the steps, what answers a lack of memory, and the way back.

This is the seam for whoever has a module and names of their own: `run(module, sites, batches, ...)`.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from initadvisor.errors import InitAdvisorError, LimitError, TargetCodeError, UsageError
from initadvisor.frontends.references import describe
from initadvisor.frontends.torch_module.lazy import is_lazy, shapeable
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.attention import AttentionWatch
from initadvisor.probe.batch import Batch
from initadvisor.probe.checkpointing import blocks, checkpointed
from initadvisor.probe.devices import choose, free_cache, is_out_of_memory
from initadvisor.probe.gradients import Gradients
from initadvisor.probe.observation import Observation
from initadvisor.probe.observer import Observer
from initadvisor.probe.ranks import ALONE, Ranks, is_lost
from initadvisor.probe.reading import fill, first_bad, first_site, largest_rms, mean_entropies, over_ranks, spreads
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
    seen = Observation(list(sites), over_ranks(training.batch, ranks), str(training.device), settings.precision)
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
        fill(seen, training, observer, gradients, scales)
    seen.losses = [float(loss) for loss in losses]
    seen.logit_std, seen.logit_spread = spreads(outputs, ranks)
    seen.input_rms = largest_rms(leaves((training.batch.args, dict(training.batch.kwargs))), ranks)
    seen.output_rms = largest_rms(outputs[:1], ranks)
    seen.entropies = mean_entropies([(path, float(value)) for path, value in watch.entropies], ranks)
    if seen.failed:
        return seen
    seen.bad_step = first_bad(seen, scaled=training.scale() != 1.0)
    try:
        if seen.bad_step is not None:
            seen.origin = training.trace(seen.bad_step) or (first_site(seen) if ranks.sharded else None)
        # What is measured on request begins at the original state, which a step that went too far says nothing of.
        if seen.bad_step != 0:
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
