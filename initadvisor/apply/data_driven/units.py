"""The tensors around the units of a layer: incoming weights, a norm's statistics, outgoing weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from initadvisor.apply.keyed_torch import fill_
from initadvisor.initializers import Key
from initadvisor.plan import PlanStep

FOLLOWING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weight holds what it reads along axis 1."""

_FRESH = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
"""What a channel of a batch norm starts from."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer, the layers that read its units, a batch norm between (or None), and how its weight is drawn."""

    layer: nn.Module
    readers: tuple[nn.Module, ...]
    norm: nn.Module | None
    step: PlanStep

    def tensors(self) -> list[torch.Tensor]:
        """What a redraw touches: the incoming side, then the outgoing one."""
        return [self.layer.weight, *self._small(), *(reader.weight for reader in self.readers)]  # type: ignore[list-item]

    def is_outgoing(self) -> list[bool]:
        """Which of `tensors` lie on the outgoing side."""
        return [False] * (1 + len(self._small())) + [True] * len(self.readers)

    def _small(self) -> list[torch.Tensor]:
        bias = [self.layer.bias] if isinstance(self.layer.bias, torch.Tensor) else []
        return bias + [tensor for tensor, _ in self.norm_tensors()]

    def norm_tensors(self) -> list[tuple[torch.Tensor, float]]:
        """What the batch norm holds for each channel and where it starts."""
        held = [(getattr(self.norm, name, None), value) for name, value in _FRESH.items()] if self.norm else []
        return [(tensor, value) for tensor, value in held if isinstance(tensor, torch.Tensor)]

    @property
    def axis(self) -> int:
        """The axis of the layer's weight that counts its units."""
        return 1 if getattr(self.layer, "transposed", False) else 0


def redraw(unit: Unit, pick: torch.Tensor, seed: int, number: int) -> None:
    """Fresh incoming weights for the picked units, zero bias, a fresh norm, zero outgoing weights."""
    weight = unit.layer.weight
    assert isinstance(weight, torch.Tensor) and unit.step.spec is not None  # noqa: PT018
    fresh = torch.empty_like(weight)
    fill_(fresh, unit.step.spec, Key(seed, f"{unit.step.parameter} {number}"), unit.step.layout)
    with torch.no_grad():
        weight.index_copy_(unit.axis, pick, fresh.index_select(unit.axis, pick))
        if isinstance(unit.layer.bias, torch.Tensor):
            unit.layer.bias.index_fill_(0, pick, 0.0)
        for tensor, value in unit.norm_tensors():
            tensor.index_fill_(0, pick, value)
        for reader in unit.readers:
            _outgoing(reader.weight, pick, weight.shape[unit.axis])  # type: ignore[arg-type]


def forget(unit: Unit, pick: torch.Tensor, optimizer: torch.optim.Optimizer | None) -> None:
    """Zero what an optimizer remembers of the redrawn elements."""
    if optimizer is None:
        return
    count = int(unit.layer.weight.shape[unit.axis])  # type: ignore[index, union-attr]
    with torch.no_grad():
        for tensor, axis in [(unit.layer.weight, unit.axis), (unit.layer.bias, 0)]:
            for moment in _moments(optimizer, tensor):
                moment.index_fill_(axis, pick, 0.0)
        for reader in unit.readers:
            for moment in _moments(optimizer, reader.weight):
                _outgoing(moment, pick, count)


def _moments(optimizer: torch.optim.Optimizer, tensor: object) -> list[torch.Tensor]:
    state = optimizer.state.get(tensor, {}) if isinstance(tensor, torch.Tensor) else {}
    shape = getattr(tensor, "shape", None)
    return [value for value in state.values() if isinstance(value, torch.Tensor) and value.shape == shape]


def _outgoing(tensor: torch.Tensor, pick: torch.Tensor, units: int) -> None:
    """Zero what a reader holds for the picked units, each of which may be spread over several inputs (a flatten)."""
    width = tensor.shape[1] // units
    places = (pick[:, None] * width + torch.arange(width, device=pick.device)).flatten()
    tensor.index_fill_(1, places, 0.0)
