"""Recording leaves the model and the process as they were, bit for bit, also when the forward pass raises."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load


class Restless(nn.Module):
    """Changes everything that a forward pass can change."""

    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.fail = fail
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.spectral = parametrizations.spectral_norm(nn.Linear(4, 4))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.history: list[Any] = [1]
        self.table = {"a": 1}
        self.plain = torch.ones(3)
        self.generator = torch.Generator().manual_seed(1)
        self.conv.register_forward_hook(lambda module, args, out: out + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        self.plain.mul_(2)
        self.history.append(x)
        self.table["b"] = x
        self.new_attribute = x
        self.conv.weight.data.mul_(3)
        self.conv.weight.grad = torch.zeros_like(self.conv.weight)
        self.frozen.weight.requires_grad_(True)
        self.extra = nn.Linear(2, 2)
        self.norm.eval()
        self.register_buffer("late", torch.zeros(1))
        self.frozen.register_forward_hook(lambda module, args, out: out)
        random.random()
        np.random.rand()
        torch.set_grad_enabled(True)
        torch.rand(1, generator=self.generator)
        h = self.norm(self.conv(x)).mean((2, 3)) * torch.rand(1) + torch.randn(4)
        h = self.frozen(self.spectral(nn.functional.dropout(h)))
        if self.fail:
            raise RuntimeError("on purpose")
        return h


def fingerprint(module: nn.Module) -> dict[str, Any]:
    """Everything that must not change: numbers by hash, objects by identity."""
    facts: dict[str, Any] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        data = hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest()
        facts[name] = (id(tensor), data, tensor.requires_grad, tensor.grad is None, type(tensor), tensor._version)
    for path, part in module.named_modules():
        attributes = {k: id(v) for k, v in vars(part).items()}
        hooks = [list(v.items()) for k, v in vars(part).items() if k.endswith("_hooks")]
        facts[f"module {path}"] = (id(part), type(part), part.training, attributes, hooks)
    facts["containers"] = (list(module.history), dict(module.table), module.plain.tolist())
    facts["generator"] = module.generator.get_state().numpy().tobytes()
    return facts


def process() -> tuple[Any, ...]:
    state = np.random.get_state()
    return (
        random.getstate(),
        (state[0], state[1].tobytes(), *state[2:]),
        torch.get_rng_state().numpy().tobytes(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.backends.mha.get_fastpath_enabled(),
        nn.Module.__call__,
        nn.functional.has_torch_function_unary,
        torch._C.ScriptFunction.__call__,
    )


@pytest.mark.parametrize("fail", [False, True], ids=["returns", "raises"])
@pytest.mark.parametrize("training", [False, True])
def test_module_and_process_are_left_as_they_were(fail: bool, training: bool) -> None:
    module, options = Restless(fail).train(training), LoadOptions(example=torch.randn(2, 3, 8, 8))
    before, around = fingerprint(module), process()
    graph = load(module, options)
    assert fingerprint(module) == before
    assert process() == around
    assert graph.coverage.capture == ("module tree" if fail else "virtual")


def test_an_exception_inside_a_nested_module_leaves_no_scope_behind() -> None:
    class Inner(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("inner")

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.linear = Inner(), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                x = self.inner(x)
            except KeyError:
                x = x * 2
            return self.linear(x)

    graph = load(Outer(), LoadOptions(example=torch.randn(2, 4)))
    assert [(n.op, n.scope) for n in graph.nodes] == [("mul", ""), ("linear", "linear")]


def test_gradients_that_were_there_stay() -> None:
    module = nn.Linear(4, 4)
    module(torch.randn(2, 4)).sum().backward()
    grads = [p.grad.clone() for p in module.parameters()]
    load(module)
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, module.parameters(), strict=True))


def test_eager_results_are_the_same_before_and_after() -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    x = torch.randn(6, 4)
    torch.manual_seed(5)
    expected = [module.eval()(x), module.train()(x)]
    module = nn.Sequential(*module)
    torch.manual_seed(5)
    load(module.eval())
    got = [module.eval()(x)]
    assert torch.equal(got[0], module(x))
    assert expected[1].shape == got[0].shape
