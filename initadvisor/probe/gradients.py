"""The gradients of the parameters, and what a step of the optimizer makes of them; nothing waits for the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

SAMPLE = 4096
"""Elements of a parameter whose update is measured, evenly spread."""

ROWS = 512
"""Output units that are compared with each other."""

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Change under which an element counts as unchanged (SageMaker Debugger, UnchangedTensor)."""

AGC_FLOOR = 1e-3
"""Smallest weight norm that adaptive gradient clipping divides by (Brock et al. 2021, arXiv 2102.06171)."""


@dataclass(slots=True)
class StepRecord:
    """Vectors over the trainable parameters, in their order, of one step; gradients that are not there are zero."""

    present: list[bool]
    l1: torch.Tensor
    l2: torch.Tensor
    update: torch.Tensor | None = None
    unchanged: torch.Tensor | None = None


@dataclass(slots=True)
class Gradients:
    """The trainable parameters of a model, by name, over the steps of a run."""

    parameters: Mapping[str, torch.nn.Parameter]
    records: list[StepRecord] = field(default_factory=list)
    weights: torch.Tensor | None = None
    spread: dict[str, torch.Tensor] = field(default_factory=dict)
    unit_ratio: dict[str, torch.Tensor] = field(default_factory=dict)
    rows: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    _before: list[torch.Tensor] = field(default_factory=list)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def backward_done(self) -> None:
        """Measure the gradients that a backward pass left."""
        gradients = [_dense(p) for p in self.parameters.values()]
        present = [g is not None for g in gradients]
        held = [g for g in gradients if g is not None]
        first = not self.records
        self.records.append(StepRecord(present, self._spread(held, present, 1), self._spread(held, present, 2)))
        if first:
            self.weights = _norms([p.detach() for p in self.parameters.values()], 2)
        self.rows.clear()
        for (name, parameter), gradient in zip(self.parameters.items(), gradients, strict=True):
            if gradient is None or gradient.ndim < 2 or gradient.shape[0] < 2 or gradient.numel() == 0:
                continue
            if first:
                self.spread[name] = _percentiles(gradient)
                self.unit_ratio[name] = _unit_ratios(parameter.detach(), gradient).amax()
            self.rows[name] = _projections(parameter.detach(), gradient)

    def _spread(self, held: list[torch.Tensor], present: list[bool], order: int) -> torch.Tensor:
        """The norms of the gradients that are there, zeros in the place of the others."""
        where = next(iter(self.parameters.values())).device if self.parameters else torch.device("cpu")
        found = iter(_norms(held, order).unbind()) if held else iter(())
        nothing = torch.zeros((), device=where)
        values = [next(found) if there else nothing for there in present]
        return torch.stack([v.to(where) for v in values]) if values else torch.zeros(0)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def before_update(self) -> None:
        """Keep a sample of each parameter."""
        self._before = [_sampled(p).clone() for p in self.parameters.values()]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_update(self) -> None:
        """Compare with the sample."""
        ratios, same = [], []
        for before, parameter in zip(self._before, self.parameters.values(), strict=True):
            after = _sampled(parameter)
            change, size = torch.linalg.vector_norm(after - before), torch.linalg.vector_norm(before)
            ratios.append(change / size)
            same.append(((after - before).abs() <= ABSOLUTE + RELATIVE * before.abs()).all())
        if ratios:
            where = ratios[0].device
            self.records[-1].update = torch.stack([r.to(where) for r in ratios])
            self.records[-1].unchanged = torch.stack([s.to(where) for s in same])
        self._before = []


def _dense(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    gradient = parameter.grad
    if gradient is None:
        return None
    gradient = gradient.detach()
    gradient = gradient.to_local() if hasattr(gradient, "to_local") else gradient
    return gradient.to_dense() if gradient.layout != torch.strided else gradient


def _norms(tensors: list[torch.Tensor], order: int) -> torch.Tensor:
    floats = [t if t.dtype in (torch.float32, torch.float64) else t.float() for t in tensors]
    norms = torch._foreach_norm(floats, order)
    return torch.stack([n.float().to(norms[0].device) for n in norms])


def _sampled(parameter: torch.Tensor) -> torch.Tensor:
    flat = parameter.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE].float()


def _percentiles(gradient: torch.Tensor) -> torch.Tensor:
    """95th minus 5th percentile of a sample."""
    values = _sampled(gradient).sort().values
    last = values.numel() - 1
    return values[round(0.95 * last)] - values[round(0.05 * last)]


def _unit_ratios(weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Norm of each output unit's gradient over that of its weights."""
    size = torch.linalg.vector_norm(weight.flatten(1).float(), dim=1).clamp_min(AGC_FLOOR)
    return torch.linalg.vector_norm(gradient.flatten(1).float(), dim=1) / size


def _projections(weight: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each of the first rows of a weight and of its gradient along one fixed random direction."""
    rows = min(ROWS, weight.shape[0])
    width = weight[0].numel()
    generator = torch.Generator().manual_seed(width)
    direction = torch.randn(width, generator=generator).to(weight.device)
    return weight[:rows].flatten(1).float() @ direction, gradient[:rows].flatten(1).float() @ direction


def twin_share(weights: torch.Tensor, gradients: torch.Tensor) -> float:
    """Share of the rows whose projections of weight and gradient both repeat an earlier row's, to rounding.

    Rows without any gradient are no evidence, and are left out of the count of repeats.
    """
    tolerance = 1e-5
    w, g = weights.double().cpu(), gradients.double().cpu()
    scale_w, scale_g = float(w.abs().max()) or 1.0, float(g.abs().max())
    if scale_g == 0 or not bool(torch.isfinite(w).all() and torch.isfinite(g).all()):
        return 0.0
    keys: dict[tuple[int, int], int] = {}
    repeats = 0
    for row, (a, b) in enumerate(zip((w / scale_w).tolist(), (g / scale_g).tolist(), strict=True)):
        key = (round(a / tolerance), round(b / tolerance))
        if abs(b) <= tolerance:
            continue
        repeats += key in keys
        keys.setdefault(key, row)
    return repeats / len(w)
