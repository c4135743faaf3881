"""The initializers that a tensor may have been drawn with: each with the distribution that it gives this shape.

Conventions of the field: `torch.nn.init` computes fans from the stored shape (`Layout.conventional_fans`), timm divides
the fan-out of a grouped convolution by its groups, Keras and JAX give a truncated normal the standard deviation that
remains after truncation. Priors are relative frequencies as a reader of public model code meets them; they decide
only between candidates that the elements cannot tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import inf, prod, sqrt

from initadvisor.analysis.fingerprint.evidence import Place
from initadvisor.graph import Layout
from initadvisor.ops.gains import gains

TWO_SIGMA = 0.8796256610342398
"""Standard deviation that is left of a unit normal cut at 2."""

THREE_SIGMA = 0.9865783925581086
"""Standard deviation that is left of a unit normal cut at 3."""

FOLDS = (1.0, (1 + 1e-5) ** -0.5, (1 + 1e-3) ** -0.5)
"""What folding a fresh batch norm (variance 1, the usual epsilons) into a convolution multiplies its weight by."""

FIXED = {
    0.02: 3.0, 0.01: 2.0, 0.001: 1.0, 1e-6: 1.0, 0.1: 0.5, 0.05: 0.5, 0.005: 0.5, 0.03: 0.3, 0.002: 0.3, 1.0: 1.0,
    0.2: 0.1, 0.5: 0.1, 0.006: 0.2, 1e-4: 0.2, 1e-3 / 2: 0.1, 1e-5: 0.1, 0.015: 0.1, 0.025: 0.1, 0.04: 0.1, 0.3: 0.05,
}  # fmt: skip
"""Standard deviations that model code writes as plain numbers, with their priors."""

VECTORS = {1e-6: 1.0, 0.02: 0.02}
"""The same for vectors: biases of vision transformers (1e-6), norm weights of GANs (0.02)."""

RARE_IN_CONVOLUTIONS = 0.2
"""How much rarer Xavier's scaling is in convolutions than in linear layers."""

_ACTIVATIONS = ("gelu", "silu", "mish", "elu", "hardswish", "softplus", "tanh")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One initializer on one shape.

    std: of the elements. bound: the largest magnitude that they can have. gain: std * sqrt(fan). prior: relative.
    """

    method: str
    family: str
    distribution: str
    mode: str
    gain: float | None
    std: float
    bound: float
    prior: float

    def folded(self, factor: float) -> Candidate:
        """The same draw after a fresh batch norm was folded into it."""
        return replace(self, std=self.std * factor, bound=self.bound * factor, prior=self.prior * 0.02)


@dataclass(frozen=True, slots=True)
class Fan:
    """A number that an initializer may divide the variance by, and how common that reading is."""

    mode: str
    value: float
    prior: float


def candidates(shape: tuple[int, ...], place: Place) -> tuple[Candidate, ...]:
    """All initializers considered for a tensor of this shape in this place."""
    vector = len(shape) < 2
    found = _of_vector() if vector else [*_of_fans(_fans(shape, place), place, len(shape) > 2), *_fixed(place.kind)]
    if vector and place.fan_in:
        found.append(uniform("pytorch_default", "default", "fan_in", place.fan_in**-0.5, 1 / sqrt(3), 5.0))
    if place.hidden:
        found.append(uniform("pytorch_default", "default", "fan_in", place.hidden**-0.5, 1 / sqrt(3), 5.0))
    return tuple(c for c in found if c.std > 0)


def _of_vector() -> list[Candidate]:
    """Vectors start at a constant, at the default bias, or at one of few widths that model code gives them.

    Everything else that is not constant has been trained: a long list of widths would explain that away.
    """
    return [normal("normal", "fixed", "none", std, None, prior) for std, prior in VECTORS.items()]


def uniform(method: str, family: str, mode: str, bound: float, gain: float | None, prior: float) -> Candidate:
    """A draw from U(-bound, bound)."""
    return Candidate(method, family, "uniform", mode, gain, bound / sqrt(3), bound, prior)


def normal(method: str, family: str, mode: str, std: float, gain: float | None, prior: float) -> Candidate:
    """A draw from N(0, std^2)."""
    return Candidate(method, family, "normal", mode, gain, std, inf, prior)


def truncated(method: str, family: str, mode: str, std: float, gain: float | None, prior: float) -> Candidate:
    """A normal cut at two of its standard deviations; `std` is what is left after the cut."""
    return Candidate(method, family, "truncated_normal", mode, gain, std, 2 * std / TWO_SIGMA, prior)


def _fans(shape: tuple[int, ...], place: Place) -> list[Fan]:
    if len(shape) < 2:
        return []
    stored_in, stored_out = conventional_fans(shape, place.layout)
    fans = [
        Fan("fan_in", stored_in, 1.0),
        Fan("fan_out", stored_out, 1.0),
        Fan("fan_avg", (stored_in + stored_out) / 2, 1.0),
    ]
    layout = place.layout
    if layout is not None and place.kind != "embedding":
        true_in, true_out = layout.fan_in(shape), layout.fan_out(shape)
        field = layout.receptive_field(shape)
        plain_out = layout.channels_out(shape) / layout.groups * field
        plain_in = layout.channels_in(shape) / layout.groups * field
        fans += [
            Fan("fan_in", true_in, 0.5),
            Fan("fan_in", plain_in, 0.5),
            Fan("fan_out", plain_out, 0.5),
            Fan("fan_out", true_out, 0.1),
            Fan("fan_avg", (plain_in + plain_out) / 2, 0.5),
        ]
    else:
        fans += [Fan("fan_in", stored_out, 0.1), Fan("fan_out", stored_in, 0.1)]
    for block in place.blocks[:1]:
        fans += [
            Fan("fan_in", block.fan_in, 0.8),
            Fan("fan_out", block.fan_out, 0.5),
            Fan("fan_avg", (block.fan_in + block.fan_out) / 2, 0.8),
        ]
    kept: dict[tuple[str, float], Fan] = {}
    for fan in fans:
        key = (fan.mode, fan.value)
        if fan.value > 0 and (key not in kept or kept[key].prior < fan.prior):
            kept[key] = fan
    return list(kept.values())


def conventional_fans(shape: tuple[int, ...], layout: Layout | None) -> tuple[float, float]:
    """(fan_in, fan_out) as `torch.nn.init` saw them, also for a matrix that an exporter turned from (out, in)."""
    if layout is not None and len(shape) == 2 and layout.in_axes == (0,) and not layout.transposed:
        return float(shape[0]), float(shape[1])
    field = prod(shape[2:])
    return float(shape[1] * field), float(shape[0] * field)


def _of_fans(fans: list[Fan], place: Place, kernel: bool) -> list[Candidate]:
    return list(chain.from_iterable(_of_fan(fan, place, kernel) for fan in fans))


def _of_fan(fan: Fan, place: Place, kernel: bool) -> list[Candidate]:
    found: list[Candidate] = []
    for gain, prior, family in _scales(fan.mode):
        std, weight = gain / sqrt(fan.value), prior * fan.prior
        if kernel and family == "xavier":
            weight *= RARE_IN_CONVOLUTIONS
        if family == "default":
            found.append(uniform("pytorch_default", family, fan.mode, std * sqrt(3), gain, weight))
            continue
        name = _NAMES[family]
        found.append(normal(f"{name}_normal", family, fan.mode, std, gain, weight))
        found.append(uniform(_form(name, "uniform", place, fan), family, fan.mode, std * sqrt(3), gain, weight))
        found.append(truncated(f"{name}_truncated_normal", family, fan.mode, std, gain, weight * 0.5))
        # torch's trunc_normal_ at two sigma without the correction leaves less than the gain asked for.
        short = truncated(f"{name}_truncated_normal", family, fan.mode, std * TWO_SIGMA, gain * TWO_SIGMA, weight * 0.1)
        found.append(short)
    return found


_NAMES = {"he": "kaiming", "lecun": "lecun", "xavier": "xavier", "scaled": "scaled"}


def _form(name: str, distribution: str, place: Place, fan: Fan) -> str:
    """`xavier_uniform_fused` where the fan is that of the whole of a fused projection, not of one of its blocks."""
    fused = name == "xavier" and place.blocks and fan.value != (place.blocks[0].fan_in + place.blocks[0].fan_out) / 2
    return f"{name}_{distribution}_fused" if fused else f"{name}_{distribution}"


@lru_cache(maxsize=8)
def _scales(mode: str) -> tuple[tuple[float, float, str], ...]:
    """(gain, prior, family) of the scalings that are written over this fan."""
    computed = [(gains(name).forward, 0.05, "scaled") for name in _ACTIVATIONS]
    leaky = [(sqrt(2 / (1 + slope * slope)), 0.1, "he") for slope in (0.01, 0.1, 0.2, 0.25, 0.3)]
    torch_gains = [(5 / 3, 0.2, "scaled"), (0.75, 0.05, "scaled")]
    if mode == "fan_avg":
        return ((1.0, 3.0, "xavier"), (sqrt(2.0), 0.5, "xavier"), (5 / 3, 0.3, "xavier"), (sqrt(0.5), 0.05, "xavier"))
    if mode == "fan_in":
        small = [(sqrt(0.4), 0.2, "scaled"), (0.5, 0.05, "scaled"), (0.1, 0.05, "scaled")]
        plain = [(1 / sqrt(3), 6.0, "default"), (1.0, 2.0, "lecun"), (sqrt(2.0), 3.0, "he")]
        return (*plain, *leaky, *torch_gains, *computed, *small)
    return ((sqrt(2.0), 3.0, "he"), (1.0, 0.5, "scaled"), (1 / sqrt(3), 0.5, "scaled"), *leaky, *torch_gains, *computed)


@lru_cache(maxsize=16)
def _fixed(kind: str) -> list[Candidate]:
    found: list[Candidate] = []
    for std, prior in FIXED.items():
        name = "embedding_normal" if kind == "embedding" and std == 1.0 else "normal"
        found.append(normal(name, "fixed", "none", std, None, prior))
        found.append(truncated("truncated_normal", "fixed", "none", std * TWO_SIGMA, None, prior * 0.3))
        found.append(truncated("truncated_normal", "fixed", "none", std, None, prior * 0.1))
        found.append(uniform("uniform", "fixed", "none", std, None, prior * 0.2))
    # GPT-2 divides 0.02 by the square root of the number of residual additions, two a block.
    found += [normal("normal", "fixed", "none", 0.02 / sqrt(2 * depth), None, 0.01) for depth in range(1, 129)]
    return found
