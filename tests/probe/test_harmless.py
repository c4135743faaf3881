"""A probe leaves everything bit for bit as it was, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import InitAdvisorError
from tests.probe.digest import digest
from tests.probe.models import MODELS, batch_of


def _warm(module: nn.Module, name: str, shape: tuple[int, ...]) -> torch.optim.Optimizer | None:
    """Gradients and an optimizer with state, as in the middle of training; none for a model without shapes yet."""
    if name == "lazy":
        return None
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], 1e-3)
    for _ in range(2):
        module(batch_of(name, shape)).square().mean().backward()
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("name", MODELS)
def test_a_run_changes_nothing(name: str) -> None:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    module = make()
    optimizer = _warm(module, name, shape)
    batch = batch_of(name, shape)
    before, numbers = digest(module, optimizer), batch.clone()
    report = initadvisor.probe(module, batch, optimizer=optimizer, noise=True, jacobian=True, sharpness=True)
    assert report.probe is not None
    assert len(report.probe["losses"]) >= 3
    assert digest(module, optimizer) == before
    assert torch.equal(batch, numbers)


class _Broken(Exception):
    pass


def _raising(error: Callable[[], BaseException], after: int = 0) -> Callable[..., Any]:
    calls = 0

    def hook(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error()

    return hook


class _BackwardFails(torch.autograd.Function):
    error: Callable[[], BaseException]

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise _BackwardFails.error()


class _FailingOptimizer(torch.optim.SGD):
    error: Callable[[], BaseException]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(1.0)
                raise self.error()


ERRORS: dict[str, Callable[[], BaseException]] = {
    "an exception": lambda: _Broken("on purpose"),
    "out of memory": lambda: torch.OutOfMemoryError("out of memory, on purpose"),
    "an interrupt": KeyboardInterrupt,
}


Options = dict[str, Any]


def _fail_forward(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    list(module.children())[-1].register_forward_pre_hook(_raising(error))
    return {}


def _fail_second_forward(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    list(module.children())[-1].register_forward_hook(_raising(error, after=1))
    return {}


def _fail_loss(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    return {"loss": _raising(error)}


def _fail_backward(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    _BackwardFails.error = error
    return {"loss": lambda out: _BackwardFails.apply(out).mean()}


def _fail_after_a_step(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    return {"after step": _raising(error, after=1)}


def _fail_half_a_step(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    _FailingOptimizer.error = error
    return {"optimizer": lambda ps: _FailingOptimizer(ps, 0.1)}


def _fail_measure(module: nn.Module, error: Callable[[], BaseException]) -> Options:
    """What is measured after the steps: gradient noise is, on half the batch at a time."""

    def hook(part: nn.Module, args: Any) -> None:
        if len(args[0]) <= 2:
            raise error()

    list(module.children())[-1].register_forward_pre_hook(hook)
    return {"noise": True}


PHASES = {
    "forward": _fail_forward,
    "second forward": _fail_second_forward,
    "loss": _fail_loss,
    "backward": _fail_backward,
    "step": _fail_after_a_step,
    "half a step": _fail_half_a_step,
    "measure": _fail_measure,
}


def _with_hook(optimizer: torch.optim.Optimizer, after: Callable[..., Any]) -> torch.optim.Optimizer:
    optimizer.register_step_post_hook(after)
    return optimizer


# Every model meets every phase; which error it meets there turns, so that each pair is seen by seven models. In every
# run each model meets two of the phases, and each phase six models; all of them by hand with -m long.
FAILURES = [
    pytest.param(
        name,
        phase,
        list(ERRORS)[(i + j) % len(ERRORS)],
        marks=() if (i - j) % len(PHASES) in (0, 3) else pytest.mark.long,
    )
    for i, name in enumerate(MODELS)
    for j, phase in enumerate(PHASES)
]


@pytest.mark.parametrize(("name", "phase", "error"), FAILURES)
def test_nothing_is_left_of_a_run_that_fails(name: str, phase: str, error: str) -> None:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    module = make()
    optimizer = _warm(module, name, shape)
    options = PHASES[phase](module, ERRORS[error])
    after = options.pop("after step", None)
    if after is not None and optimizer is not None:
        optimizer.register_step_post_hook(after)
    elif after is not None:
        options["optimizer"] = lambda ps: _with_hook(torch.optim.AdamW(ps), after)
    before = digest(module, optimizer)
    expected = KeyboardInterrupt if error == "an interrupt" else InitAdvisorError
    with pytest.raises(expected):
        initadvisor.probe(
            module, batch_of(name, shape), options.pop("loss", None), **{"optimizer": optimizer, **options}
        )
    assert digest(module, optimizer) == before


def test_the_digest_sees_what_a_plain_training_step_changes() -> None:
    make, shape = MODELS["counting"]
    module = make()
    before = digest(module)
    module(batch_of("counting", shape)).mean().backward()
    assert digest(module) != before


def test_the_same_seed_gives_the_same_report() -> None:
    make, _ = MODELS["dropout"]
    torch.manual_seed(0)
    module = make()
    first = initadvisor.probe(module, input_shape=(8, 8), seed=5)
    torch.manual_seed(99)
    assert initadvisor.probe(module, input_shape=(8, 8), seed=5) == first
    assert initadvisor.probe(module, input_shape=(8, 8), seed=6) != first
