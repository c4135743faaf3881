"""Dormant units in the middle of training: found by their activity, drawn anew without changing the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from initadvisor import frontends
from initadvisor.analysis import structure
from initadvisor.apply.data_driven.observe import WEIGHTED, by_channel, output_of, run, undisturbed
from initadvisor.apply.data_driven.units import FOLLOWING, Unit, forget, redraw
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph, Layer
from initadvisor.ops.gains import resolve
from initadvisor.plan import Plan, advise

_SAME = 1e-3
"""Relative change of the output that rounding may make; what a wrong channel makes is larger by far."""

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True)
class Revived:
    """What was done: how many units of each layer were drawn anew, and why those of other layers were not."""

    units: Mapping[str, int]
    skipped: Mapping[str, str]


def dormant_units(module: nn.Module, batch: Any, *, tau: float = 0.025) -> dict[str, torch.Tensor]:
    """For each hidden layer, which of its units hardly ever fire on a batch: a mask by layer name.

    Formula: s_i = E abs(h_i) / mean_k E abs(h_k) <= tau, h behind the activation.
    batch: a tensor, a tuple of arguments or a dict of keywords.
    Caveat: only layers with an activation of their own that is known, behind a batch norm at most. tau .025 is the
        paper's for analysis, .1 for its benchmarks.
    Source: Sokar et al. 2023, arXiv 2302.12902.
    """
    return _dormant(module, _graph(module, batch), batch, tau)


def revive(
    module: nn.Module,
    batch: Any,
    *,
    tau: float = 0.025,
    plan: Plan | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    number: int = 0,
    seed: int = 0,
) -> Revived:
    """Draw the incoming weights of dormant units anew and zero their outgoing ones, in place.

    The function of the network changes by no more than the dormant units contributed; everything else that was learned
    stays. plan: how weights are drawn, the default advice for this module unless given. optimizer: its moments for the
    redrawn elements are set to zero. number: counts the revivals of a run, so that each draws other numbers.

    Caveat: only where the units' outputs go to linear or convolution layers alone, without a skip around them.
    Source: Sokar et al. 2023, arXiv 2302.12902 (ReDo).
    """
    graph = _graph(module, batch)
    plan = plan or advise(graph, include_trained=True, seed=seed)
    modules = dict(module.named_modules())
    units: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for name, dormant in _dormant(module, graph, batch, tau).items():
        if not dormant.any():
            continue
        layer = next(layer for layer in graph.layers if layer.name == name)
        found = _unit(layer, graph, plan, modules)
        if isinstance(found, str):
            skipped[name] = found
            continue
        pick = dormant.nonzero().flatten().to(found.layer.weight.device)  # type: ignore[union-attr]
        with _kept_if(module, batch, found, pick) as same:
            redraw(found, pick, plan.seed, number)
            if not same():
                skipped[name] = "its units reach the output by another way too"
        if name not in skipped:
            forget(found, pick, optimizer)
            units[name] = int(dormant.sum())
    return Revived(units, skipped)


def _graph(module: nn.Module, batch: Any) -> Graph:
    example = tuple(batch) if isinstance(batch, list) else batch
    return structure.describe(frontends.load(module, LoadOptions(example=example)))


def _dormant(module: nn.Module, graph: Graph, batch: Any, tau: float) -> dict[str, torch.Tensor]:
    modules = dict(module.named_modules())
    found: dict[str, torch.Tensor] = {}
    with undisturbed(module):
        for layer in graph.layers:
            own, activation = modules.get(layer.name), layer.activation
            if not isinstance(own, WEIGHTED) or layer.role == "head" or activation is None or activation.gated:
                continue
            if activation.name in ("linear", "unknown"):
                continue
            behind = modules.get(layer.norm_after) if layer.norm_after else own
            if behind is None or not isinstance(behind, (*WEIGHTED, *_NORMS)):
                continue
            function = resolve(activation.name, **dict(activation.params)).function
            outputs = by_channel(output_of(module, behind, batch), own)
            activity = torch.from_numpy(function(outputs.cpu().numpy())).abs().mean(1)
            found[layer.name] = activity <= tau * activity.mean()
    return found


def _unit(layer: Layer, graph: Graph, plan: Plan, modules: Mapping[str, nn.Module]) -> Unit | str:
    """The tensors around the units of a layer, or why they cannot be drawn anew."""
    following = [
        other
        for other in graph.layers
        if layer.name in other.attrs.get("previous", ()) and other.name != layer.norm_after
    ]
    readers = [modules.get(other.name) for other in following]
    if not readers or layer.groups != 1 or any(other.groups != 1 for other in following):
        return "what reads its units is not known"
    own = modules[layer.name]
    count = int(own.weight.shape[1 if getattr(own, "transposed", False) else 0])  # type: ignore[union-attr, index]
    if not all(isinstance(reader, FOLLOWING) and reader.weight.shape[1] % count == 0 for reader in readers):
        return "what reads its units is no plain layer, or reads others beside them"
    step = plan.step(layer.weight or "")
    if step is None or step.spec is None:
        return "the plan leaves its weight as it is"
    if not isinstance(own._parameters.get("weight"), nn.Parameter):
        return "its weight is computed"
    norm = modules.get(layer.norm_after) if layer.norm_after else None
    return Unit(own, tuple(r for r in readers if r is not None), norm, step)


@contextmanager
def _kept_if(module: nn.Module, batch: Any, unit: Unit, pick: torch.Tensor) -> Iterator[Any]:
    """Lend a function that says whether a redraw left the output alone; where it said no, everything is put back.

    With the outgoing weights at zero the incoming ones can no longer be seen, if the units are what they were taken
    for: behind a permuted flatten or a skip they are not, and the output tells.
    """
    before = [tensor.detach().clone() for tensor in unit.tensors()]
    verdict = []

    def same() -> bool:
        drawn = [tensor.detach().clone() for tensor in unit.tensors()]
        with torch.no_grad():
            for tensor, new, old, outgoing in zip(unit.tensors(), drawn, before, unit.is_outgoing(), strict=True):
                tensor.copy_(new if outgoing else old)
            reference = _flat(module, batch)
            for tensor, new in zip(unit.tensors(), drawn, strict=True):
                tensor.copy_(new)
            change = (_flat(module, batch) - reference).abs().max() / reference.abs().max().clamp_min(1e-30)
        verdict.append(bool(change <= _SAME))
        return verdict[-1]

    yield same
    if verdict and not verdict[-1]:
        with torch.no_grad():
            for tensor, old in zip(unit.tensors(), before, strict=True):
                tensor.copy_(old)


def _flat(module: nn.Module, batch: Any) -> torch.Tensor:
    """Everything that the module puts out, in eval mode, under one random state."""
    with undisturbed(module):
        module.eval()
        torch.default_generator.manual_seed(0)
        output = run(module, batch)
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else [output]
    return torch.cat([part.double().flatten().cpu() for part in parts if isinstance(part, torch.Tensor)])
