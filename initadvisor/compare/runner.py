"""All runs of a comparison, one after another on one module, which is put back between them and at the end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from initadvisor import __version__
from initadvisor.compare.conclusion import conclusion
from initadvisor.compare.data import Data
from initadvisor.compare.inits import Init
from initadvisor.compare.inputs import Inputs, fit_inputs, spread
from initadvisor.compare.model import Comparison, DataRecord, InitResult, Setup, TrainingRun
from initadvisor.compare.ranking import not_run, ranked, result_of
from initadvisor.compare.settings import Settings
from initadvisor.compare.starts import Start, read, start_of
from initadvisor.compare.training import Run
from initadvisor.compare.watch import Spot, spots_of
from initadvisor.errors import FormatError, InitAdvisorError, LimitError, TargetCodeError, UsageError
from initadvisor.frontends import references
from initadvisor.frontends.torch_module import unwrap
from initadvisor.frontends.torch_module.lazy import is_lazy
from initadvisor.probe.devices import choose
from initadvisor.probe.state import Untouched

Tell = Callable[..., None]


@dataclass(slots=True)
class _Subject:
    """A model that can be had from several seeds. `given` is the caller's module, which has one draw only."""

    name: str
    make: Callable[[int], torch.nn.Module]
    given: bool = False


@dataclass(slots=True)
class _Work:
    """What was learned of the model at the first seed, and the runs so far."""

    inputs: Inputs
    spots: Sequence[Spot]
    device: torch.device
    parameters: int
    starts: dict[str, Start] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    runs: dict[str, list[TrainingRun]] = field(default_factory=dict)
    interrupted: bool = False


def run(target: Any, inits: Sequence[Init], data: Data, settings: Settings, tell: Tell) -> Comparison:
    """Train the model from every initialization, learning rate and seed; see `initadvisor.compare.api.compare`."""
    subject = _subject(target)
    work: _Work | None = None
    try:
        for seed in settings.seeds:
            tell("building")
            module = unwrap(subject.make(seed))
            _check(module, subject.name)
            device = choose(settings.device, module)
            with warnings.catch_warnings(), torch.enable_grad():
                warnings.simplefilter("ignore")
                if work is None:
                    with Untouched([module]):
                        work = _prepare(module, subject, inits, data, settings, device, tell)
                _runs_of_seed(module, inits, data, settings, seed, work, tell)
            if work.interrupted:
                break
    except KeyboardInterrupt:
        if work is None or not any(work.runs.values()):
            raise
        work.interrupted = True
    assert work is not None
    return _comparison(subject, inits, data, settings, work)


def _runs_of_seed(
    module: torch.nn.Module,
    inits: Sequence[Init],
    data: Data,
    settings: Settings,
    seed: int,
    work: _Work,
    tell: Tell,
) -> None:
    per_run = settings.steps
    total = per_run * len(settings.seeds) * len(inits) * len(settings.learning_rates)
    done = settings.seeds.index(seed) * per_run * len(inits) * len(settings.learning_rates)
    for init, rate in _pairs(inits, settings):
        if init.name in work.refused:
            done += per_run
            continue
        stage = f"{init.name}, learning rate {rate:g}" + (f", seed {seed}" if len(settings.seeds) > 1 else "")
        tell(stage, done, total)
        step_done = partial(_told, tell, stage, done, total)
        one = Run(module, work.inputs, data.task, settings, rate, seed, work.spots, step_done)
        try:
            with Untouched([module]):
                module.to(work.device)
                _repeatable()
                work.starts[init.name](module, seed, work.inputs)
                found = one.train()
        except TargetCodeError:
            raise
        except InitAdvisorError as error:
            work.refused[init.name] = str(error)
            continue
        done += per_run
        work.runs[init.name].append(found)
        if found.outcome == "interrupted":
            work.interrupted = True
            return


def _told(tell: Tell, stage: str, before: int, total: int, step: int) -> None:
    tell(stage, before + step, total)


def _pairs(inits: Sequence[Init], settings: Settings) -> Iterator[tuple[Init, float]]:
    return ((init, rate) for init in inits for rate in settings.learning_rates)


def _prepare(
    module: torch.nn.Module,
    subject: _Subject,
    inits: Sequence[Init],
    data: Data,
    settings: Settings,
    device: torch.device,
    tell: Tell,
) -> _Work:
    """Fit the data to the model, describe it, and find out how each initialization is put on it."""
    tell("reading")
    home = next((t.device for t in (*module.parameters(), *module.buffers())), device)
    module.eval()
    inputs = fit_inputs(module, data, home, subject.name, settings.input_shape)
    module.train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise UsageError(f"no parameter of {subject.name} is to be trained", hint="set requires_grad on what is")
    reading = read(module, inputs, subject.name, any(init.kind == "recommended" for init in inits))
    spots = spots_of(reading.graph, module)
    work = _Work(inputs.to(device), spots, device, sum(p.numel() for p in parameters))
    for init in inits:
        work.runs[init.name] = []
        try:
            work.starts[init.name], note = start_of(init, reading)
        except UsageError as error:
            work.refused[init.name] = str(error)
            continue
        work.notes += [note] if note else []
    if len(work.refused) == len(inits):
        reason = "; ".join(f"{name}: {text}" for name, text in work.refused.items())
        raise UsageError(f"none of the initializations fits {subject.name}: {reason}")
    if subject.given and len(settings.seeds) > 1 and any(init.kind == "as_is" for init in inits):
        work.notes.append(
            "a module that is given has one draw of its own: its seeds differ in the order of batches only"
        )
    return work


def _subject(target: Any) -> _Subject:
    if isinstance(target, torch.nn.Module):
        return _Subject(type(unwrap(target)).__name__, lambda seed: target, given=True)
    if isinstance(target, str | os.PathLike):
        name = os.fspath(target)
        if ":" not in name or os.path.exists(name):
            raise FormatError(
                f"cannot compare initializations of {name}: the runs train a torch module",
                hint="give package.module:factory, torchvision:NAME, timm:NAME or hf:NAME",
            )
        return _Subject(name, lambda seed: references.build(name, seed=seed))
    if callable(target):
        return _Subject(getattr(target, "__qualname__", type(target).__name__), lambda seed: _made(target, seed))
    raise FormatError(
        f"cannot compare initializations of an object of type {type(target).__name__}",
        hint="pass a torch.nn.Module, a function that makes one, or a reference",
    )


def _made(factory: Callable[[], Any], seed: int) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            built = factory()
        except Exception as error:
            raise TargetCodeError(f"the factory raised {references.describe(error)}") from error
    if not isinstance(built, torch.nn.Module):
        raise FormatError(f"the factory gave a {type(built).__name__}, not a torch.nn.Module")
    return built


def _check(module: torch.nn.Module, name: str) -> None:
    if is_lazy(module):
        raise UsageError(f"{name} has lazy layers without shapes", hint="call it on data once, then compare")
    if any(p.is_meta for p in module.parameters()):
        raise LimitError(f"{name} has weights without numbers (on the meta device): it cannot be trained here")


def _repeatable() -> None:
    """Kernels that give the same numbers each time; put back with the module."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _comparison(subject: _Subject, inits: Sequence[Init], data: Data, settings: Settings, work: _Work) -> Comparison:
    results: list[InitResult] = []
    for init in inits:
        if init.name in work.refused:
            results.append(not_run(init, work.refused[init.name]))
        elif work.runs[init.name]:
            results.append(result_of(init, work.runs[init.name]))
        else:
            results.append(not_run(init, "interrupted before its first run"))
    mean, std = spread(data)
    record = DataRecord(
        name=data.name,
        task=data.task,
        samples=len(data.x),
        held_out=len(data.held_x),
        classes=data.classes,
        sample_shape=data.sample_shape,
        input_shape=work.inputs.shape,
        mean=mean,
        std=std,
        notes=(*data.notes, *work.inputs.notes),
    )
    setup = Setup(
        optimizer="SGD, momentum 0.9" if settings.optimizer == "sgd" else "Adam",
        learning_rates=settings.learning_rates,
        schedule=settings.schedule,
        steps=settings.steps,
        batch_size=min(settings.batch_size, len(data.x)),
        seeds=settings.seeds,
        target=settings.target,
        device=str(work.device),
        parameters=work.parameters,
        layers=len(work.spots),
    )
    order = ranked(results)
    return Comparison(
        version=__version__,
        target=subject.name,
        data=record,
        setup=setup,
        inits=order,
        conclusion=conclusion(order, setup, record),
        interrupted=work.interrupted,
        notes=tuple(work.notes),
    )
