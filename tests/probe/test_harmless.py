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
    half: bool = False

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(1.0)
                if self.half:
                    raise self.error()
        raise self.error()


ERRORS: dict[str, Callable[[], BaseException]] = {
    "an exception": lambda: _Broken("on purpose"),
    "out of memory": lambda: torch.OutOfMemoryError("out of memory, on purpose"),
    "an interrupt": KeyboardInterrupt,
}


def _fail_forward(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    list(module.children())[-1].register_forward_pre_hook(_raising(error))
    return {}


def _fail_second_forward(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    list(module.children())[-1].register_forward_hook(_raising(error, after=1))
    return {}


def _fail_loss(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    return {"loss": _raising(error)}


def _fail_backward(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    _BackwardFails.error = error
    return {"loss": lambda out: _BackwardFails.apply(out).mean()}


def _fail_step(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    _FailingOptimizer.error, _FailingOptimizer.half = error, False
    return {"optimizer": lambda ps: _FailingOptimizer(ps, 0.1)}


def _fail_half_a_step(module: nn.Module, error: Callable[[], BaseException]) -> dict[str, Any]:
    _FailingOptimizer.error, _FailingOptimizer.half = error, True
    return {"optimizer": lambda ps: _FailingOptimizer(ps, 0.1)}


PHASES = {
    "forward": _fail_forward,
    "second forward": _fail_second_forward,
    "loss": _fail_loss,
    "backward": _fail_backward,
    "step": _fail_step,
    "half a step": _fail_half_a_step,
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ["batch norm", "counting", "frozen", "pre-norm encoder"])
def test_nothing_is_left_of_a_run_that_fails(name: str, phase: str, error: str) -> None:
    make, shape = MODELS[name]
    torch.manual_seed(0)
    module = make()
    _warm(module, name, shape)
    options = PHASES[phase](module, ERRORS[error])
    before = digest(module)
    expected = KeyboardInterrupt if error == "an interrupt" else InitAdvisorError
    with pytest.raises(expected):
        initadvisor.probe(module, batch_of(name, shape), options.pop("loss", None), **options)
    assert digest(module) == before


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
