"""The gradients of the parameters, and what a step of the optimizer makes of them; nothing waits for the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from initadvisor.probe.ranks import ALONE, Ranks
from initadvisor.probe.shards import copies, is_sharded, local, region, rows_apart, sample_places

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
    """The trainable parameters of a model, by name, over the steps of a run; of shards, as if they were whole."""

    parameters: Mapping[str, torch.nn.Parameter]
    ranks: Ranks = ALONE
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
            self.weights = _norms([local(p) for p in self.parameters.values()], 2)
        self.rows.clear()
        for (name, parameter), gradient in zip(self.parameters.items(), gradients, strict=True):
            if gradient is None or parameter.ndim < 2 or parameter.shape[0] < 2 or parameter.numel() == 0:
                continue
            if first:
                sample = _sample_of(parameter, gradient)
                self.spread[name] = _percentiles(sample) if self.ranks.alone else sample.clone()
                if rows_apart(parameter):
                    self.unit_ratio[name] = _unit_ratio(local(parameter), gradient)
            self.rows[name] = _projections(parameter, gradient)

    def _spread(self, held: list[torch.Tensor], present: list[bool], order: int) -> torch.Tensor:
        """The norms of the gradients that are there, zeros in the place of the others."""
        where = local(next(iter(self.parameters.values()))).device if self.parameters else torch.device("cpu")
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
        """Compare with the sample, and sum what the ranks hold of this step."""
        changes, sizes, moved = [], [], []
        for before, parameter in zip(self._before, self.parameters.values(), strict=True):
            after = _sampled(parameter)
            changes.append(torch.linalg.vector_norm(after - before))
            sizes.append(torch.linalg.vector_norm(before))
            moved.append(((after - before).abs() > ABSOLUTE + RELATIVE * before.abs()).any())
        self._before = []
        if not changes:
            return
        where, record = changes[0].device, self.records[-1]
        change, size, other = (torch.stack([t.to(where) for t in found]) for found in (changes, sizes, moved))
        if not self.ranks.alone:
            change, size, other = self._over_ranks(record, change, size, other)
        record.update, record.unchanged = change / size, other == 0

    def _over_ranks(
        self, record: StepRecord, change: torch.Tensor, size: torch.Tensor, moved: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Norms of whole parameters from those of their parts, by one collective."""
        share = self._share(change)
        there = torch.tensor([float(p) for p in record.present])
        l1, l2 = record.l1.double() * share, record.l2.double().square() * share
        squares = [change.double().square() * share, size.double().square() * share]
        l1, l2, change, size, moved, there = self.ranks.sum([l1, l2, *squares, moved, there])
        record.l1, record.l2 = l1, l2.sqrt()
        record.present = (there > 0).tolist()
        return change.sqrt(), size.sqrt(), moved

    def _share(self, like: torch.Tensor) -> torch.Tensor:
        """One over the number of ranks that hold the same part of each parameter."""
        count = self.ranks.count
        shares = [1 / copies(p, count) for p in self.parameters.values()]
        return torch.tensor(shares, dtype=torch.float64, device=like.device)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def finish(self) -> None:
        """Put together what is measured once, from the parts of all ranks."""
        if self.ranks.alone or self.weights is None:
            return
        names = list(self.rows)
        weight = {n: 1 / copies(self.parameters[n], self.ranks.count) for n in {*names, *self.spread}}
        parts = [self.weights.double().square() * self._share(self.weights)]
        parts += [sample.double() * weight[name] for name, sample in self.spread.items()]
        parts += [half.double() * weight[name] for name in names for half in self.rows[name]]
        total, *found = self.ranks.sum(parts)
        self.weights = total.sqrt()
        samples = zip(self.spread, found, strict=False)
        self.spread = {name: _percentiles(sample) for name, sample in samples}
        halves = found[len(self.spread) :]
        self.rows = {name: (halves[2 * i], halves[2 * i + 1]) for i, name in enumerate(names)}
        self.unit_ratio = dict(zip(self.unit_ratio, self.ranks.largest(list(self.unit_ratio.values())), strict=True))


def _dense(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    gradient = parameter.grad
    if gradient is None:
        return None
    gradient = local(gradient)
    return gradient.to_dense() if gradient.layout != torch.strided else gradient


def _norms(tensors: list[torch.Tensor], order: int) -> torch.Tensor:
    floats = [t if t.dtype in (torch.float32, torch.float64) else t.float() for t in tensors]
    norms = torch._foreach_norm(floats, order)
    return torch.stack([n.float().to(norms[0].device) for n in norms])


def _sampled(parameter: torch.Tensor) -> torch.Tensor:
    """What lies here of a sample of the whole."""
    here, _ = sample_places(parameter, SAMPLE)
    return local(parameter).reshape(-1)[here].float()


def _sample_of(parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """A sample of a whole gradient, with zeros for what lies elsewhere."""
    here, there = sample_places(parameter, SAMPLE)
    values = gradient.reshape(-1)[here].float()
    if not is_sharded(parameter):
        return values
    step = max(1, parameter.numel() // SAMPLE)
    whole = values.new_zeros(min(SAMPLE, -(-parameter.numel() // step)))
    whole[there] = values
    return whole


def _percentiles(sample: torch.Tensor) -> torch.Tensor:
    """95th minus 5th percentile."""
    values = sample.sort().values
    last = values.numel() - 1
    return values[round(0.95 * last)] - values[round(0.05 * last)]


def _unit_ratio(weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Largest norm of an output unit's gradient over that of its weights; 0 where none lies here."""
    if not weight.numel():
        return weight.new_zeros((), dtype=torch.float32)
    size = torch.linalg.vector_norm(weight.flatten(1).float(), dim=1).clamp_min(AGC_FLOOR)
    return (torch.linalg.vector_norm(gradient.flatten(1).float(), dim=1) / size).amax()


def _projections(parameter: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each of the first rows of a weight and of its gradient along one random direction; of shards, their part."""
    weight = local(parameter)
    rows = min(ROWS, parameter.shape[0])
    width = parameter.shape[1:].numel()
    generator = torch.Generator().manual_seed(width)
    direction = torch.randn(width, generator=generator)
    if not is_sharded(parameter):
        direction = direction.to(weight.device)
        return weight[:rows].flatten(1).float() @ direction, gradient[:rows].flatten(1).float() @ direction
    first, *others = region(parameter)
    direction = direction.reshape(parameter.shape[1:])[tuple(others)].reshape(-1).to(weight.device)
    found = []
    for part in (weight, gradient):
        whole = torch.zeros(rows, device=weight.device)
        mine = part[: max(0, rows - first.start)].flatten(1).float()
        whole[first.start : first.start + len(mine)] = mine @ direction
        found.append(whole)
    return found[0], found[1]


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
