"""The elements of a checkpoint copied into a module, in place and all at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from initadvisor.apply.keyed_torch import fill_
from initadvisor.apply.pretrained.adapting import adapt_positions, adapt_stem
from initadvisor.apply.pretrained.matching import Entry, Match
from initadvisor.errors import UsageError
from initadvisor.graph import Parameter, TensorSource
from initadvisor.initializers import Key
from initadvisor.plan import PlanStep

CHUNK = 1 << 22


def transfer(
    module: nn.Module,
    found: Match,
    file: Mapping[str, Parameter],
    steps: Mapping[str, PlanStep],
    seed: int = 0,
) -> dict[str, int]:
    """Copy what was matched, adapt what was to be adapted, and draw heads anew by the steps of a plan.

    Every tensor of the file is read before the first is written: the module is changed as a whole or not at all.
    Returns how many elements of the file that were taken are NaN or infinite, by name.

    Raises UsageError for a module on the meta device, and what reading the file raises.
    """
    state = {name: value for name, value in module.state_dict(keep_vars=True).items() if torch.is_tensor(value)}
    if any(value.is_meta for value in state.values()):
        raise UsageError("the model is on the meta device", hint="give it memory first: model.to_empty(device=...)")
    odd: dict[str, int] = {}
    values = {e.name: _value(e, file, odd) for e in found.of("matched", "renamed", "adapted")}
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(value)
        for entry in found.of("redrawn"):
            step = steps.get(entry.name)
            if step is not None and step.spec is not None:
                fill_(state[entry.name].detach(), step.spec, Key(seed, step.parameter), step.layout)
    return odd


def _value(entry: Entry, file: Mapping[str, Parameter], odd: dict[str, int]) -> torch.Tensor:
    assert entry.source is not None
    parameter = file[entry.source]
    assert parameter.source is not None
    array = elements(parameter.source, parameter.shape)
    count = array.size - int(np.isfinite(array).sum())
    if count:
        odd[entry.name] = count
    tensor = torch.from_numpy(array)
    if entry.action != "adapted":
        return tensor
    return adapt_positions(tensor, entry.grid) if entry.grid is not None else adapt_stem(tensor, entry.shape[1])


def elements(source: TensorSource, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a file in memory, as float32 or float64."""
    chunks = [np.array(chunk) for chunk in source.chunks(CHUNK)]
    return (np.concatenate(chunks) if len(chunks) > 1 else chunks[0] if chunks else np.zeros(0, "f4")).reshape(shape)
