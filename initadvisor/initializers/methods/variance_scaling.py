"""Variance scaling over declared axes: the one function behind LeCun, Xavier and He."""

from __future__ import annotations

from math import prod, sqrt

from initadvisor.errors import UsageError
from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Distribution, centred
from initadvisor.initializers.registry import distribution_method


@distribution_method("variance_scaling")
def variance_scaling(
    shape: tuple[int, ...],
    layout: Layout,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
) -> Distribution:
    """Independent elements of variance scale / fan, the fan read from the layout and not from a storage convention.

    Formula: Var W = scale / fan; fan: fan_in, fan_out, fan_avg (their mean) or fan_geo (their geometric mean).
    Use: scale = gain^2 with fan_in keeps the second moment of the signal, with fan_out that of the gradient.
    Caveat: the truncated normal is corrected for its cut at 2 sigma; torch's own fans are wrong for grouped and
        transposed convolutions and for (in, out) storage.
    Source: the interface of Keras and JAX; the analysis is that of LeCun 1998, Glorot 2010 and He 2015.
    """
    return centred(distribution, sqrt(scale / fan(shape, layout, mode)))


def fan(shape: tuple[int, ...], layout: Layout, mode: str) -> float:
    """The fan of that mode; raises UsageError for another mode or a tensor without elements."""
    if not prod(shape):
        return 1.0
    fan_in, fan_out = layout.fan_in(shape), layout.fan_out(shape)
    fans = {
        "fan_in": fan_in,
        "fan_out": fan_out,
        "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo": sqrt(fan_in * fan_out),
    }
    if mode not in fans:
        raise UsageError(f"there is no fan mode {mode!r}", hint=f"the modes are {', '.join(fans)}")
    return fans[mode]
