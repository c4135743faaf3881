"""Adaptive gradient clipping: each output unit's gradient, against the size of its own weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from initadvisor.errors import UsageError

CLIP = 0.01
"""Largest ratio of gradient norm to weight norm (Brock et al. 2021, for batches of 4096; smaller ones take more)."""

FLOOR = 1e-3
"""Smallest weight norm that counts, so that units that start at zero can grow."""


def clip_units_(
    parameters: torch.Tensor | Iterable[torch.Tensor], clip: float = CLIP, floor: float = FLOOR
) -> torch.Tensor:
    """Scale each unit's gradient down to norm(gradient) <= clip * max(norm(weight), floor), in place.

    A unit is one index of the first axis (an output feature, a filter); a vector or scalar is one unit per element, as
    a bias or gain belongs to one unit each. Call it between `backward` and `step`, with the head's parameters left out.
    Returns the number of units that were clipped, as a tensor on the device: nothing waits for it.
    Raises UsageError for a clip or floor that is not positive. Source: Brock et al. 2021, arXiv 2102.06171, section 3.
    """
    if not clip > 0 or not floor > 0:
        raise UsageError(f"clip and floor are positive numbers, not {clip} and {floor}")
    given = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    counts = [_clip(p, p.grad, clip, floor) for p in given if p.grad is not None and p.numel()]
    if not counts:
        return torch.zeros((), dtype=torch.int64)
    return torch.stack([c.to(counts[0].device) for c in counts]).sum()


def _clip(parameter: torch.Tensor, gradient: torch.Tensor, clip: float, floor: float) -> torch.Tensor:
    with torch.no_grad():
        size, length = _norms(parameter.detach()), _norms(gradient)
        allowed = clip * size.clamp_min(floor)
        over = length > allowed
        # Units within the bound keep their bits: they are multiplied by exactly 1.
        factor = torch.where(over, allowed / length.clamp_min(torch.finfo(length.dtype).tiny), torch.ones_like(length))
        gradient.mul_(factor.to(gradient.dtype))
        return over.sum()


def _norms(tensor: torch.Tensor) -> torch.Tensor:
    """Norm of each unit in at least float32, shaped to multiply the tensor."""
    wide = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    if tensor.ndim < 2:
        return wide.abs()
    return torch.linalg.vector_norm(wide, dim=tuple(range(1, tensor.ndim)), keepdim=True)
