"""What each weighted layer carries on one batch: activations, the gradient that comes back, the weight's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from initadvisor.compare.model import Histogram, LayerRecord
from initadvisor.engine.prober import sites_of
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.graph import Graph, Layer
from initadvisor.ops.activations import ACTIVATIONS

MAX_ELEMENTS = 1 << 18
"""Elements of an output that are looked at: whole samples, the first ones."""

BINS = 40
REACH = 4.0
"""Where a histogram ends on a side where the function does not end itself: unit-variance signals lie within."""

_RANGES = {"tanh": (-1.0, 1.0), "hardtanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0)}
_RECTIFIERS = {"relu": (0.0, REACH), "relu6": (0.0, 6.0), "squared_relu": (0.0, REACH)}

_STEEPEST = {"tanh": 1.0, "hardtanh": 1.0, "sigmoid": 0.25, "hardsigmoid": 1.0 / 6.0}
FLAT = 1.0 - 0.97**2
"""Share of the steepest slope below which a value counts as saturated: that of tanh where it is 0.97."""

_BY_CHANNEL = (
    torch.nn.modules.conv._ConvNd,
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.modules.instancenorm._InstanceNorm,
    torch.nn.GroupNorm,
)


@dataclass(frozen=True, slots=True)
class Spot:
    """One layer to watch. path: of the module whose output is the pre-activation: the layer's, or that of its norm."""

    name: str
    depth: int
    path: str
    weight: str
    function: str = "linear"
    params: Mapping[str, Any] = field(default_factory=dict)


def spots_of(graph: Graph, module: torch.nn.Module) -> list[Spot]:
    """The weighted layers of a described graph whose output a module of their own gives, in forward order."""
    sites = {site.name: site for site in sites_of(graph, module)}
    found = []
    for layer in graph.layers:
        site = sites.get(layer.name)
        if site is None or layer.kind not in ("linear", "recurrent") or layer.weight is None:
            continue
        behind = sites.get(layer.norm_after or "")
        function, params = _function(layer)
        path = behind.module if behind is not None else site.module
        found.append(Spot(layer.name, layer.depth or 0, path, layer.weight, function, params))
    return found


def _function(layer: Layer) -> tuple[str, Mapping[str, Any]]:
    activation = layer.activation
    if activation is None or activation.gated or layer.kind == "recurrent" or activation.name not in ACTIVATIONS:
        return "linear", {}
    known = ACTIVATIONS[activation.name].params
    return activation.name, {key: value for key, value in activation.params if key in known}


def measure(
    module: torch.nn.Module, spots: Sequence[Spot], loss_of: Callable[[], tuple[torch.Tensor, int]]
) -> tuple[LayerRecord, ...]:
    """One record a spot. loss_of runs the model and gives (mean loss, samples); gradients are gone afterwards."""
    seen: dict[str, _Seen] = {}
    by_path = {spot.path: spot for spot in spots}
    parts = dict(module.named_modules())
    handles = [
        parts[path].register_forward_hook(partial(_look, seen, spot, isinstance(parts[path], _BY_CHANNEL)))
        for path, spot in by_path.items()
        if path in parts
    ]
    try:
        loss, samples = loss_of()
    finally:
        for handle in handles:
            handle.remove()
    if loss.requires_grad and bool(torch.isfinite(loss.detach())):
        loss.backward()  # type: ignore[no-untyped-call]
    weights = dict(module.named_parameters(remove_duplicate=False))
    records = tuple(_record(spot, seen.get(spot.path), weights.get(spot.weight), samples) for spot in spots)
    for parameter in module.parameters():
        parameter.grad = None
    return records


@dataclass(slots=True)
class _Seen:
    """What the hooks found at one spot."""

    figures: dict[str, Any]
    gradient_rms: float | None = None


def _look(seen: dict[str, _Seen], spot: Spot, by_channel: bool, _: torch.nn.Module, __: Any, output: Any) -> None:
    tensors = [t for t in leaves(output) if t.is_floating_point()]
    if not tensors or spot.path in seen:  # of a module that runs several times, the first run
        return
    output = tensors[0]
    count = max(1, MAX_ELEMENTS // max(1, output[0].numel())) if output.ndim > 1 else len(output)
    values = output.detach()[:count].double().cpu().numpy()
    found = seen[spot.path] = _Seen(_figures(spot, values, 1 if by_channel and values.ndim > 1 else -1))
    if output.requires_grad:

        def keep(gradient: torch.Tensor) -> None:
            found.gradient_rms = _rms(gradient)

        output.register_hook(keep)


def _figures(spot: Spot, z: np.ndarray, axis: int) -> dict[str, Any]:
    """The figures of a record that need the values, from pre-activations; `axis` counts the units."""
    if not np.isfinite(z).all():
        return {"mean": None, "std": None, "rms": None}
    entry = ACTIVATIONS[spot.function]
    params = {**entry.params, **spot.params}
    with np.errstate(over="ignore"):
        a = entry.function(z, **params)
    figures: dict[str, Any] = {
        "mean": float(a.mean()),
        "std": float(a.std()),
        "rms": float(np.sqrt(np.mean(np.square(a)))),
        "histogram": _histogram(spot.function, a),
    }
    if spot.function != "linear":
        with np.errstate(over="ignore"):
            slope = np.abs(entry.derivative(z, **params))
        alive = (slope != 0).any(axis=tuple(i for i in range(z.ndim) if i != axis % z.ndim))
        figures["dead"] = float(1.0 - alive.mean())
        if spot.function in _STEEPEST:
            figures["saturated"] = float((slope < FLAT * _STEEPEST[spot.function]).mean())
    return figures


def _histogram(function: str, values: np.ndarray) -> Histogram:
    low, high = _RANGES.get(function) or _RECTIFIERS.get(function) or (-REACH, REACH)
    flat = values.reshape(-1)
    zero = (flat == 0.0) if function in _RECTIFIERS else np.zeros(flat.shape, bool)
    rest = flat[~zero]
    counts, _ = np.histogram(rest, bins=BINS, range=(low, high))
    size = max(flat.size, 1)
    return Histogram(
        low=low,
        high=high,
        shares=tuple(round(float(c) / size, 6) for c in counts),
        below=float((rest < low).sum() / size),
        above=float((rest > high).sum() / size),
        zero=float(zero.sum() / size),
    )


def _record(spot: Spot, seen: _Seen | None, weight: torch.Tensor | None, samples: int) -> LayerRecord:
    figures = seen.figures if seen is not None else {"mean": None, "std": None, "rms": None}
    gradient = seen.gradient_rms if seen is not None else None
    return LayerRecord(
        name=spot.name,
        depth=spot.depth,
        function=spot.function,
        # Of one sample's loss: the mean over a batch would make it depend on the batch's size.
        gradient_rms=None if gradient is None else gradient * samples,
        weight_gradient_rms=None if weight is None or weight.grad is None else _rms(weight.grad),
        weight_rms=None if weight is None else _rms(weight.detach()),
        **figures,
    )


def _rms(tensor: torch.Tensor) -> float:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.detach()
    largest = float(tensor.abs().max()) if tensor.numel() else 0.0
    if not largest or largest != largest or largest == float("inf"):
        return largest
    return (
        largest * float((tensor / largest).double().square().mean().sqrt())
        if tensor.device.type != "mps"
        else (largest * float((tensor / largest).square().mean().sqrt()))
    )
