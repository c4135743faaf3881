"""Putting an initialization on a model: a plan for each, made once and drawn from each seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from initadvisor.analysis import structure
from initadvisor.apply.data_driven import lsuv
from initadvisor.apply.torch_module import apply
from initadvisor.compare.inits import Init
from initadvisor.compare.inputs import Inputs, as_example
from initadvisor.engine.advising import plan_for
from initadvisor.engine.checker import Checker, CheckSettings, Examination
from initadvisor.errors import UsageError
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.load import load
from initadvisor.graph import Graph, Layer
from initadvisor.initializers import InitSpec, Key
from initadvisor.initializers.recipes.places import in_blocks
from initadvisor.plan import Plan, PlanStep

LSUV_SAMPLES = 256
"""Samples that LSUV measures a layer on."""

Start = Callable[[torch.nn.Module, int, Inputs], None]
"""Draws a module from a seed, in place."""


@dataclass(slots=True)
class Reading:
    """What is known of the model: its described graph, and what the rules said where advice is wanted."""

    graph: Graph
    examined: Examination | None


def read(module: torch.nn.Module, inputs: Inputs, target: str, with_advice: bool) -> Reading:
    """Describe a model on the data that it is to learn."""
    options = LoadOptions(example=as_example(inputs))
    if with_advice:
        examined = Checker(CheckSettings(load=options)).examine(module)
        return Reading(examined.graph, examined)
    return Reading(structure.describe(load(module, options, target)), None)


def start_of(init: Init, reading: Reading) -> tuple[Start, str]:
    """How an initialization is put on the model, and a note on what it leaves out.

    Raises UsageError where it fits no layer.
    """
    if init.kind == "as_is":
        return lambda module, seed, inputs: None, ""
    if init.kind == "lsuv":
        return _lsuv, ""
    if init.kind == "recommended":
        assert reading.examined is not None
        plan = plan_for(reading.examined)
        return lambda module, seed, inputs: _apply(module, plan.with_seed(seed)), ""
    assert init.spec is not None
    drawn, left = _plan(reading.graph, init.spec)
    note = f"{init.name} fits no weight of the shape of {_some(left)}: left as they were" if left else ""
    return lambda module, seed, inputs: _apply(module, drawn.with_seed(seed)), note


def _apply(module: torch.nn.Module, plan: Plan) -> None:
    try:
        apply(module, plan)
    except ValueError as error:  # of numpy, where a method does not fit a shape
        raise UsageError(f"a weight cannot be drawn so: {error}") from error


def _lsuv(module: torch.nn.Module, seed: int, inputs: Inputs) -> None:
    lsuv(module, inputs.fitted(inputs.x[:LSUV_SAMPLES]), seed=seed)


def _plan(graph: Graph, spec: InitSpec) -> tuple[Plan, list[str]]:
    """Every trained matrix and kernel drawn by one method, with zero biases; and the layers that it does not fit."""
    steps: dict[str, PlanStep] = {}
    left: list[str] = []
    first: UsageError | None = None
    for layer in graph.layers:
        weight = graph.parameters.get(layer.weight or "")
        if weight is None or layer.kind not in ("linear", "recurrent") or len(weight.shape) < 2:
            continue
        if weight.name in steps or not weight.trainable:
            continue
        own = in_blocks(layer, spec)
        try:
            _fits(own, weight.shape, layer)
        except UsageError as error:
            first = first or error
            left.append(layer.name)
            continue
        steps[weight.name] = _step(graph, weight.name, own, layer)
        if layer.bias is not None and graph.parameters[layer.bias].trainable:
            steps[layer.bias] = _step(graph, layer.bias, InitSpec("zeros"), layer)
    if not steps:
        raise first or UsageError("the model has no trained matrix or kernel that was understood")
    return Plan(graph.target, tuple(steps.values())), left


def _fits(spec: InitSpec, shape: tuple[int, ...], layer: Layer) -> None:
    """Raise UsageError where a method does not fit a weight."""
    try:
        spec.std(shape, layer.layout)
        if spec.entry.kind == "array":  # what makes matrices of a form of its own is known to fit when it has
            spec.draw(shape, Key(0, layer.name), layer.layout)
    except ValueError as error:
        text = f"{spec.method} does not fit a weight of shape {'x'.join(map(str, shape))}"
        raise UsageError(text, hint=str(error).partition(" with ")[0]) from error


def _step(graph: Graph, name: str, spec: InitSpec, layer: Layer) -> PlanStep:
    parameter = graph.parameters[name]
    return PlanStep(
        parameter=name,
        shape=parameter.shape,
        dtype=parameter.dtype,
        spec=spec,
        reason="compared",
        layer=layer.name,
        layout=layer.layout if name == layer.weight else None,
        aliases=parameter.aliases,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
