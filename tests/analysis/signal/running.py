"""Run a module in float64 and predict it: the two sides of every test here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from initadvisor.analysis.signal import Conditions, Propagation, propagate, read_weights
from initadvisor.frontends import torch_module
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph

Make = Callable[[], nn.Module]


@dataclass
class Measured:
    """Second moments: of the output, of each leaf module's output, and of the gradient of each parameter."""

    output: float
    outputs: dict[str, float]
    gradients: dict[str, float]
    samples: float


@dataclass
class Predicted:
    """The prediction for the same module."""

    graph: Graph
    run: Propagation

    @property
    def output(self) -> float:
        """Second moment of the first output."""
        signal = self.run.forward[self.graph.outputs[0]]
        assert signal is not None
        return signal.q

    def of(self, scope: str) -> float:
        """Second moment of what a module returns."""
        node = [n for n in self.graph.nodes if n.scope == scope][-1]
        signal = self.run.forward[node.outputs[0]]
        assert signal is not None, scope
        return signal.q

    def gradient(self, parameter: str) -> float:
        """Second moment of the gradient of a parameter."""
        value = next(v.id for v in self.graph.values if v.parameter == parameter)
        gradient = self.run.backward[value]
        assert gradient is not None, parameter
        return gradient.q


def predict(module: nn.Module, *inputs: torch.Tensor, conditions: Conditions | None = None) -> Predicted:
    """Record the module on the inputs and propagate statistics through it."""
    graph = recorded(module, *inputs)
    return Predicted(graph, propagate(graph, read_weights(graph), conditions))


def recorded(module: nn.Module, *inputs: torch.Tensor) -> Graph:
    """The graph of a module as it runs on some inputs."""
    return torch_module.load(module, LoadOptions(example=inputs if len(inputs) > 1 else inputs[0]))


@dataclass
class Average:
    """Predictions for several draws of a module, averaged as the measurements are."""

    draws: list[Predicted]

    @property
    def output(self) -> float:
        """Second moment of the first output."""
        return sum(d.output for d in self.draws) / len(self.draws)

    def of(self, scope: str) -> float:
        """Second moment of what a module returns."""
        return sum(d.of(scope) for d in self.draws) / len(self.draws)

    def gradient(self, parameter: str) -> float:
        """Second moment of the gradient of a parameter."""
        return sum(d.gradient(parameter) for d in self.draws) / len(self.draws)


def both(make: Make, draw: Callable[[], tuple[torch.Tensor, ...]], seeds: int) -> tuple[Average, Measured]:
    """Prediction and measurement over the same draws."""
    predictions = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        predictions.append(predict(make(), *draw()))
    return Average(predictions), measure(make, draw, seeds)


def measure(make: Make, draw: Callable[[], tuple[torch.Tensor, ...]], seeds: int = 4) -> Measured:
    """Forward and backward in float64 with unit output gradients, second moments averaged over draws."""
    outputs: dict[str, list[float]] = {}
    gradients: dict[str, list[float]] = {}
    out: list[float] = []
    across: list[float] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        module = make().double()
        hooks = [
            child.register_forward_hook(_keep(outputs, name))
            for name, child in module.named_modules()
            if not list(child.children())
        ]
        inputs = tuple(x.double() if x.is_floating_point() else x for x in draw())
        result = module(*inputs)
        result = result[0] if isinstance(result, tuple) else result
        result.backward(torch.randn_like(result))
        for hook in hooks:
            hook.remove()
        out.append(_moment(result))
        if len(result) > 1:
            across.append(float((result.detach()[0] * result.detach()[1]).mean()))
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                gradients.setdefault(name, []).append(_moment(parameter.grad))
    return Measured(
        sum(out) / seeds,
        {name: sum(v) / len(v) for name, v in outputs.items()},
        {name: sum(v) / len(v) for name, v in gradients.items()},
        sum(across) / max(len(across), 1),
    )


def _moment(x: torch.Tensor) -> float:
    return float(x.detach().double().square().mean())


def _keep(into: dict[str, list[float]], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, torch.Tensor):
            into.setdefault(name, []).append(_moment(first))

    return hook
