"""Mamba's state decay and step size."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import array_method


@array_method("mamba_a_log")
def mamba_a_log(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The log decay rates of Mamba, one row a channel.

    Formula: A_log[d, n] = ln(n + 1), so that A = -exp(A_log) = -(n + 1).
    Use: A_log of a Mamba block; D is `ones`.
    Caveat: keep it in float32 and out of weight decay.
    Source: Gu and Dao 2023, arXiv 2312.00752.
    """
    return np.broadcast_to(np.log(np.arange(shape[-1]) + 1.0), shape).copy()


@array_method("mamba2_a_log")
def mamba2_a_log(
    rng: np.random.Generator, shape: tuple[int, ...], *, low: float = 1.0, high: float = 16.0
) -> np.ndarray:
    """The log decay rate of each head of Mamba-2.

    Formula: A_log = ln U(low, high), 1 and 16.
    Use: A_log of a Mamba-2 block.
    Caveat: keep it in float32 and out of weight decay.
    Source: Dao and Gu 2024, arXiv 2405.21060.
    """
    count = int(np.prod(shape))
    logs: np.ndarray = np.log(low + (high - low) * rng.random(count)).reshape(shape)
    return logs


@array_method("mamba_dt_bias")
def mamba_dt_bias(
    rng: np.random.Generator, shape: tuple[int, ...], *, low: float = 1e-3, high: float = 0.1
) -> np.ndarray:
    """The bias with which softplus gives step sizes spread over two decades.

    Formula: dt log-uniform in [low, high], b = dt + ln(-expm1(-dt)), so that softplus(b) = dt.
    Use: dt bias of Mamba and Mamba-2.
    Caveat: a zero bias, which a generic re-initialization would write, starts every channel at dt = .69.
    Source: Gu and Dao 2023, arXiv 2312.00752.
    """
    count = int(np.prod(shape))
    dt = np.exp(np.log(low) + (np.log(high) - np.log(low)) * rng.random(count))
    bias: np.ndarray = dt + np.log(-np.expm1(-dt))
    return bias.reshape(shape)
