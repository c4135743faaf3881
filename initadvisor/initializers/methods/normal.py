"""A normal of a given standard deviation."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Normal
from initadvisor.initializers.registry import distribution_method


@distribution_method("normal")
def normal(shape: tuple[int, ...], layout: Layout, *, std: float, mean: float = 0.0) -> Normal:
    """Independent normal elements of a standard deviation that knows nothing of the fan.

    Formula: W ~ N(mean, std^2).
    Use: heads, embeddings, architectures whose paper gives the number.
    Caveat: the gain is std sqrt(fan_in): .02 is a gain of .55 at fan_in 768 and of 1.28 at 4096.
    Source: AlexNet (Krizhevsky et al. 2012) and after.
    """
    return Normal(float(std), float(mean))
