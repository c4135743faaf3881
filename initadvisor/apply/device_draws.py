"""The deviates of `initializers.draws` in torch operations, for tensors that numpy cannot reach.

Word for word and rounding for rounding the algorithm of `initializers.draws.deviates`: integer operations and single
IEEE additions, multiplications, divisions and square roots, each its own kernel so that no compiler fuses two. A GPU
therefore holds the same bits as the CPU. It moves about 1,400 bytes of intermediate results an element: on a device
of 4 TB/s, 70 billion parameters take half a minute.
"""

from __future__ import annotations

import torch

from initadvisor.initializers import Key, Normal, TruncatedNormal
from initadvisor.initializers.distributions import RandomDistribution
from initadvisor.initializers.draws import central_mass
from initadvisor.initializers.draws import constants as c

_MASK = 0xFFFFFFFF
_WORDS_PER_BLOCK = 8
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10


def words(key: Key, start: int, count: int, device: torch.device) -> torch.Tensor:
    """Words [start, start + count) of the key's stream as int32 bit patterns, by Philox4x64-10 in int64 operations."""
    first, last = start // _WORDS_PER_BLOCK, -(-(start + count) // _WORDS_PER_BLOCK)
    x0 = torch.arange(first, last, dtype=torch.int64, device=device)
    x1, x2, x3 = torch.zeros_like(x0), torch.zeros_like(x0), torch.zeros_like(x0)
    k0, k1 = key.words()
    for _ in range(_ROUNDS):
        low0, high0 = _product(x0, _MULTIPLIERS[0])
        low1, high1 = _product(x2, _MULTIPLIERS[1])
        x0, x1, x2, x3 = high1 ^ x1 ^ _signed(k0), low1, high0 ^ x3 ^ _signed(k1), low0
        k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    lanes = torch.stack((x0, x1, x2, x3), dim=1)
    offset = start - first * _WORDS_PER_BLOCK
    return lanes.view(torch.int32).reshape(-1)[offset : offset + count]


def deviates(
    distribution: RandomDistribution, key: Key, start: int, count: int, device: torch.device, double: bool = False
) -> torch.Tensor:
    """Elements [start, start + count) of a random distribution, in float32 or float64."""
    if isinstance(distribution, Normal):
        radius, factor = _normal_factors(key, start, count, device)
        if not double:
            # The scale goes on the radius, as in numpy: the order of two roundings is part of the draw.
            return _shift((radius * distribution.scale) * factor, distribution.mean)
        unit = radius * factor
    elif isinstance(distribution, TruncatedNormal):
        unit = _truncated(key, start, count, distribution.cut, device)
    else:
        unit = _symmetric(words(key, start, count, device))
    return _shift((unit.double() if double else unit) * distribution.scale, distribution.mean)


def _shift(drawn: torch.Tensor, mean: float) -> torch.Tensor:
    return drawn + mean if mean else drawn


def _normal_factors(key: Key, start: int, count: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed radii and sines or cosines whose products are N(0, 1); the scale goes on the radius, as in numpy."""
    block = 2 * c.PAIRS
    first, last = start // block, -(-(start + count) // block)
    drawn = words(key, first * block, (last - first) * block, device).reshape(-1, 2, c.PAIRS)
    radii, angles = drawn[:, 0], drawn[:, 1]
    u = ((radii.to(torch.int64) & _MASK) | 1).to(torch.float32) * c.WORD_STEP
    radius = _root(_minus_two_log(u))
    radius = (radius.view(torch.int32) ^ (angles << 31)).view(torch.float32)
    t = (angles >> c.ANGLE_SHIFT).to(torch.float32) * c.UNIFORM_STEP
    square = t * t
    sine, cosine = _horner(c.SINE_SERIES, square) * t, _horner(c.COSINE_SERIES, square)
    pick = slice(start - first * block, start - first * block + count)
    both = torch.stack((radius, radius), dim=1).reshape(-1)[pick]
    return both, torch.stack((cosine, sine), dim=1).reshape(-1)[pick]


def _truncated(key: Key, start: int, count: int, cut: float, device: torch.device) -> torch.Tensor:
    """Elements [start, start + count) of N(0, 1) cut at +-cut, float32."""
    y = _symmetric(words(key, start, count, device)) * central_mass(cut)
    v = _minus_two_log((1.0 - y) * (y + 1.0)) * 0.5
    z = _horner(c.QUANTILE_SERIES, v - c.QUANTILE_CENTRE)
    if cut > c.QUANTILE_CUT:
        tail = _horner(c.TAIL_SERIES, _root(v) - c.TAIL_CENTRE)
        z = torch.where(v > c.QUANTILE_LIMIT, tail, z)
    return (y * z).clamp(-_single(cut), _single(cut))


def _root(x: torch.Tensor) -> torch.Tensor:
    """The correctly rounded root: torch's float32 root on the CPU is MKL's, whose last bit is off in 1 of 200."""
    return x.sqrt() if x.device.type == "mps" else x.double().sqrt().float()


def _single(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _product(x: torch.Tensor, multiplier: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The low and high 64 bits of x times a constant, as bit patterns, from four 32 x 32 bit products."""
    high, low = multiplier >> 32, multiplier & _MASK
    x_low, x_high = x & _MASK, (x >> 32) & _MASK
    low_low, low_high = x_low * low, x_low * high
    high_low = x_high * low
    middle = ((low_low >> 32) & _MASK) + (low_high & _MASK) + (high_low & _MASK)
    upper = x_high * high + ((low_high >> 32) & _MASK) + ((high_low >> 32) & _MASK) + (middle >> 32)
    return x * _signed(multiplier), upper


def _symmetric(bits: torch.Tensor) -> torch.Tensor:
    return ((bits >> c.UNIFORM_SHIFT) | 1).to(torch.float32) * c.UNIFORM_STEP


def _minus_two_log(u: torch.Tensor) -> torch.Tensor:
    shifted = u.view(torch.int32) - c.SQRT_HALF_BITS
    m = ((shifted & c.MANTISSA_MASK) + c.SQRT_HALF_BITS).view(torch.float32)
    exponent = (shifted >> c.EXPONENT_SHIFT).to(torch.float32) * c.MINUS_2_LN2
    s = (m - 1.0) / (m + 1.0)
    return exponent + _horner(c.LOG_SERIES, s * s) * s


def _horner(coefficients: tuple[float, ...], x: torch.Tensor) -> torch.Tensor:
    out = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        out = (out + coefficient) * x
    return out + coefficients[0]
