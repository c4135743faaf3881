"""A tensor cut down to samples x units x positions, and the statistics of that, as one vector on its device.

Nothing here waits for the device: results are read once, at the end of a run. Sums of squares are taken after dividing
by the largest magnitude, so that they neither overflow nor vanish.
"""

from __future__ import annotations

import torch

MAX_ELEMENTS = 1 << 16
"""Elements of an output that are measured: whole rows, evenly spread; every sample and unit is there."""

MAX_SAMPLES = 32
TOKENS = 32
"""Positions of one sample that are compared with each other."""

TINY = float(torch.finfo(torch.float32).tiny)

ACTIVE = 0.01
"""Share of observations under which a unit counts as dead (SageMaker Debugger, DeadRelu, threshold_inactivity 1%)."""

FLAT = 0.85
"""Share of observations beyond which a unit counts as saturated (TheDeepChecker, arXiv 2204.00694)."""

STATISTICS = (
    "absmax",
    "mean",
    "second",
    "unit_variance",
    "zero_share",
    "dead_units",
    "saturated_units",
    "saturated_share",
    "flat_units",
)
"""The entries of the vector that `statistics` gives; mean is over absmax, second and unit_variance over its square."""

_DEAD_BELOW_ZERO = frozenset({"relu", "relu6"})
_FLAT_OUTSIDE = {
    "tanh": (-2.0923, 2.0923),
    "sigmoid": (-4.1846, 4.1846),
    "hardtanh": (-1.0, 1.0),
    "hardsigmoid": (-3.0, 3.0),
}
"""Where less than 3% of the way to the end of the range is left: |tanh| > 0.97."""

_SATURATED_OUTSIDE = {"tanh": (-9.4999, 9.4999), "sigmoid": (-23.0, 16.99999)}
"""SageMaker Debugger, SaturatedActivation."""

MEASURED_ACTIVATIONS = _DEAD_BELOW_ZERO | _FLAT_OUTSIDE.keys()
"""Functions behind a layer for which dead or saturated units are counted."""


def layout(tensor: torch.Tensor, channel_axis: int) -> torch.Tensor | None:
    """The tensor as samples x units x positions in float32, cut down to `MAX_ELEMENTS`; None for a scalar or nothing.

    channel_axis: 1 for images, -1 for features last.
    """
    if tensor.ndim == 0 or tensor.numel() == 0:
        return None
    part = tensor[:MAX_SAMPLES]
    per_row = max(1, part.numel() // (part.shape[1 if channel_axis == -1 else 2] if part.ndim > 2 else 1))
    if channel_axis == 1 and part.ndim > 2:
        step = _step(part.shape[2], per_row)
        return part[:, :, ::step].flatten(2).float()
    if part.ndim > 2:
        step = _step(part.shape[1], per_row)
        return part[:, ::step].flatten(1, -2).float().transpose(1, 2)
    return part.reshape(part.shape[0], -1, 1).float()


def _step(rows: int, per_row: int) -> int:
    kept = max(1, MAX_ELEMENTS // max(per_row, 1))
    return max(1, -(-rows // kept))


def statistics(sample: torch.Tensor, activation: str) -> torch.Tensor:
    """The vector of `STATISTICS` of a sample; what does not apply is NaN."""
    absmax = sample.abs().amax()
    scaled = sample / absmax.clamp_min(TINY)
    nothing = torch.full((), float("nan"), device=sample.device)
    variance = nothing
    if sample.shape[0] > 1:
        apart = scaled - scaled.mean(0)
        variance = apart.square().mean() * (sample.shape[0] / (sample.shape[0] - 1))
    units = [shares.mean((0, 2)) for shares in unit_events(sample, activation)]
    judged = unit_shares(units, activation)
    zero = (sample == 0).float().mean()
    return torch.stack(
        (absmax, scaled.mean(), scaled.square().mean(), variance, zero, *(nothing if x is None else x for x in judged))
    )


def unit_events(sample: torch.Tensor, activation: str) -> list[torch.Tensor]:
    """What is counted for each unit, as ones and zeros in the shape of the sample: active, or flat and saturated."""
    found = []
    if activation in _DEAD_BELOW_ZERO:
        found.append((sample > 0).float())
    if activation in _FLAT_OUTSIDE:
        found.append(_outside(sample, _FLAT_OUTSIDE[activation]))
    if activation in _SATURATED_OUTSIDE:
        found.append(_outside(sample, _SATURATED_OUTSIDE[activation]))
    return found


def unit_shares(units: list[torch.Tensor], activation: str) -> tuple[torch.Tensor | None, ...]:
    """(dead_units, saturated_units, saturated_share, flat_units) from how often each of `unit_events` came up."""
    dead = saturated = share = flat = None
    left = list(units)
    if activation in _DEAD_BELOW_ZERO:
        dead = (left.pop(0) < ACTIVE).float().mean()
    if activation in _FLAT_OUTSIDE:
        outside = left.pop(0)
        share, flat = outside.mean(), (outside > FLAT).float().mean()
    if activation in _SATURATED_OUTSIDE:
        saturated = (left.pop(0) > 1 - ACTIVE).float().mean()
    return dead, saturated, share, flat


def _outside(sample: torch.Tensor, bounds: tuple[float, float]) -> torch.Tensor:
    return ((sample < bounds[0]) | (sample > bounds[1])).float()


def sample_grams(sample: torch.Tensor) -> torch.Tensor:
    """(2, samples, samples): scalar products between the samples, and between them less their mean.

    Both are over the largest magnitude squared: cosines follow from the first, the effective rank from the second.
    """
    rows = sample.flatten(1)
    rows = rows / rows.abs().amax().clamp_min(TINY)
    apart = rows - rows.mean(0)
    return torch.stack((rows @ rows.T, apart @ apart.T))


def token_remainder(sample: torch.Tensor) -> torch.Tensor:
    """norm(X - mean over positions) / norm(X), mean over samples, for at most `TOKENS` positions each."""
    step = max(1, sample.shape[2] // TOKENS)
    tokens = sample[:4, :, ::step]
    tokens = tokens / tokens.abs().amax().clamp_min(TINY)
    apart = tokens - tokens.mean(2, keepdim=True)
    norm = torch.linalg.vector_norm(tokens.flatten(1), dim=1).clamp_min(TINY)
    return (torch.linalg.vector_norm(apart.flatten(1), dim=1) / norm).mean()
