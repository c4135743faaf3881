"""Operators with a weight matrix: one formula for linear, convolution, transposed convolution and gemm.

An output element sums fan_in x valid products; valid is the share of kernel taps that zero padding leaves. The
weights are independent with mean wm and second moment w2, so the second moment is fan valid (w2 - wm^2) q plus the
part that a non-zero mean adds coherently. The gradient goes back by the same count, and a weight collects one product
for every place it is used, coherent as far as both signal and gradient are correlated across places and samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from initadvisor.graph import Layout
from initadvisor.ops.moments import places
from initadvisor.ops.moments.axes import (
    FEATURES,
    POSITIONS,
    SAMPLES,
    Axes,
    axis,
    count,
    plain,
    shape_of,
    size_of,
)
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.registry import OPERATORS


@dataclass(frozen=True, slots=True)
class Fan:
    """How an output element depends on inputs: `valid` taps of `size` on average, `pair` for two positions at once.

    windows: how outputs lie on inputs along each axis, of a convolution.
    phase: the share of position pairs that meet the same weights (1/stride per axis for a transposed convolution
    forward, for a strided one backward).
    """

    size: float
    valid: float = 1.0
    pair: float = 1.0
    phase: float = 1.0
    phase_back: float = 1.0
    windows: tuple[places.Window, ...] = ()


def valid_taps(length: int, out: int, kernel: int, stride: int, dilation: int, before: int) -> tuple[float, float]:
    """Along one axis: the share of taps that fall on the input, and the share that two positions have in common."""
    if out < 1 or kernel < 1:
        return 1.0, 1.0
    single = paired = 0.0
    for tap in range(kernel):
        offset = tap * dilation - before
        first = max(0, -(offset // stride))
        last = min(out - 1, (length - 1 - offset) // stride)
        share = max(0, last - first + 1) / out
        single += share
        paired += share * share
    return single / kernel, paired / kernel


def pairs_of(value: object, spatial: int, default: int) -> tuple[int, ...]:
    """An attribute that is one number or one per axis."""
    if value is None or isinstance(value, str):
        return (default,) * spatial
    if isinstance(value, (int, float)):
        return (int(value),) * spatial
    given = tuple(int(v) for v in value)  # type: ignore[attr-defined]
    return given if len(given) >= spatial else (given + (default,) * spatial)[:spatial]


def leading_pads(call: Call, spatial: int, kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Zeros in front of each axis, from torch's one number an axis, ONNX's begin and end lists, or a rule by name."""
    padding = call.attrs.get("padding")
    automatic = padding if isinstance(padding, str) else call.attrs.get("auto_pad")
    if isinstance(automatic, str) and automatic.lower().startswith("same"):
        return tuple((k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True))
    return pairs_of(padding, spatial, 0)[:spatial]


def convolution_fan(call: Call, layout: Layout, shape: tuple[int, ...]) -> Fan:
    """The fan of a convolution or transposed convolution, its padding counted."""
    spatial = len(shape) - 2
    size = layout.fan_in(shape)
    stride = pairs_of(call.attrs.get("stride"), spatial, 1)
    given, made = call.input_shapes[0], call.output_shapes[0]
    if given is None or made is None or spatial < 1:
        return Fan(size)
    dilation = pairs_of(call.attrs.get("dilation"), spatial, 1)
    kernel = shape[2:]
    before = leading_pads(call, spatial, kernel, dilation)
    valid = pair = 1.0
    windows = []
    source, target = (made, given) if layout.transposed else (given, made)
    for a in range(-spatial, 0):
        single, both = valid_taps(source[a], target[a], kernel[a], stride[a], dilation[a], before[a])
        valid *= single
        pair *= both
        windows.append(places.Window(source[a], target[a], kernel[a], stride[a], dilation[a], before[a]))
    apart = 1.0 / prod(min(s, k) if s > 1 else 1 for s, k in zip(stride, kernel, strict=True))
    if layout.transposed:
        # average taps per output position: every input spreads kernel x valid products over the outputs
        inputs, outputs = prod(given[-spatial:]), prod(made[-spatial:])
        size = layout.channels_in(shape) / layout.groups * prod(kernel) * inputs / outputs
        return Fan(size, valid, pair, phase=apart)
    return Fan(size, valid, pair, phase_back=apart, windows=tuple(windows))


@forward("conv", "conv_transpose", "deform_conv", "quantized_conv", "integer_conv", "causal_conv")
def convolution(call: Call) -> list[Signal | None]:
    entry = OPERATORS[call.op]
    slot = entry.slot("weight")
    x, weight, shape = call.known(entry.slot("input")), call.known(slot), call.input_shapes[slot]
    made = call.output_shapes[0]
    if x is None or weight is None or shape is None or made is None:
        return [None]
    layout = entry.layouts["weight"](shape, call.attrs)
    given = call.input_shapes[0] or ()
    batched = len(given) == len(shape)
    spatial = [axis(POSITIONS, n) for n in made[len(made) - len(shape) + 2 :]]
    lead: list[tuple[tuple[str, int], ...]] = (
        [x.axes[0] if size_of(x.axes[0]) == made[0] else axis(SAMPLES, made[0])] if batched else []
    )
    channels = axis(FEATURES, layout.channels_out(shape))
    fan = convolution_fan(call, layout, shape)
    call.memory["fan"] = fan
    bias = call.known(entry.slot("bias")) if "bias" in entry.slots else None
    return [project(x, weight, bias, fan, (*lead, channels, *spatial))]


@forward("linear", "gemm")
def linear(call: Call) -> list[Signal | None]:
    x, weight, shape, made = call.known(0), call.known(1), call.input_shapes[1], call.output_shapes[0]
    if x is None or weight is None or shape is None or made is None:
        return [None]
    if not weight.free:
        return [None]
    layout = OPERATORS[call.op].layouts["weight"](shape, call.attrs)
    fan = Fan(layout.fan_in(shape))
    call.memory["fan"] = fan
    alpha, beta = float(call.attr("alpha", 1.0)), float(call.attr("beta", 1.0))
    bias = call.known(2)
    if beta != 1.0 and bias is not None:
        bias = bias.scaled(beta)
    if alpha != 1.0:
        weight = weight.scaled(alpha)
    call.memory["weight"] = weight
    axes: Axes = (*x.axes[:-1], axis(FEATURES, made[-1])) if len(shape) == 2 else x.axes[:-1]
    return [project(x, weight, bias, fan, axes)]


def project(x: Signal, weight: Signal, bias: Signal | None, fan: Fan, axes: Axes) -> Signal:
    """The output statistics of a sum over a fan of independent weights."""
    spread = weight.variance
    along, valid, pair = places.ahead(x.places, fan.windows) if fan.windows else ((), fan.valid, fan.pair)
    taps = fan.size * fan.valid
    own = fan.size * valid
    coherent = 0.0
    if weight.mean != 0.0:
        coherent = weight.mean**2 * (taps * x.q + taps * max(taps - 1.0, 0.0) * x.features)
    mean = taps * weight.mean * x.mean
    q = own * spread * x.q + coherent
    features = coherent
    scale = fan.size * spread * fan.phase * pair
    together = weight.mean**2 * taps * taps
    positions = scale * x.positions + together * x.cross(x.features, x.positions)
    samples = scale * x.samples + together * x.cross(x.features, x.samples)
    if bias is not None:
        mean_square = bias.mean * bias.mean
        both = 2.0 * mean * bias.mean
        q += bias.q + both
        positions += bias.q + both
        samples += bias.q + both
        features += mean_square + both
        mean += bias.mean
        along = places.mixed(along, (), 1.0 - bias.q / q) if q > 0.0 else ()
    return Signal(mean, q, features, positions, samples, axes, places=along)


@backward("conv", "conv_transpose", "deform_conv", "linear", "gemm", "causal_conv")
def project_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    entry = OPERATORS[call.op]
    made: list[Gradient | None] = [None] * len(call.inputs)
    g, fan = gradients[0], call.memory.get("fan")
    x, out = call.known(entry.slot("input")), call.outputs[0] if call.outputs else None
    weight = call.memory.get("weight") or call.known(entry.slot("weight"))
    if g is None or fan is None or x is None or out is None or weight is None:
        return made
    outputs, inputs = prod(shape_of(out.axes)), prod(shape_of(x.axes))
    weights = prod(call.input_shapes[entry.slot("weight")] or (1,))
    taps = fan.size * fan.valid
    square = outputs / inputs * taps * weight.q
    along, landing = places.back(g.places, fan.windows) if fan.windows else ((), fan.valid)
    own = outputs / inputs * fan.size * landing * weight.q
    share = fan.phase_back * fan.pair / fan.valid if fan.valid > 0 else 0.0
    same, alike = _same_inputs(x) if call.op in ("linear", "gemm") else (1.0, 1.0)
    made[entry.slot("input")] = Gradient(
        g.q * own,
        g.positions * square * share * same,
        g.samples * square * share * alike,
        weight.mean**2 * taps * g.q,
        places=along,
    )
    made[entry.slot("weight")] = Gradient(collected(g, x, outputs * taps / weights, call.batch, fan))
    bias_slot = entry.slot("bias") if "bias" in entry.slots else -1
    if bias_slot >= 0 and call.known(bias_slot) is not None:
        made[bias_slot] = Gradient(summed(g, out))
    return made


def _same_inputs(x: Signal) -> tuple[float, float]:
    """Of two positions, within a sample and across two, how often both meet the same weights.

    Only where positions were flattened into the axis that is summed over is that less than always.
    """
    inner = count(x.axes[-1:]).positions
    if inner <= 1:
        return 1.0, 1.0
    outer = count(x.axes[:-1]).positions
    return (outer - 1) / (outer * inner - 1), 1.0 / inner


def collected(g: Gradient, x: Signal, uses: float, batch: int, fan: Fan) -> float:
    """E[(dL/dw)^2] of a weight used `uses` times over `batch` samples."""
    per_sample = uses / batch
    share = fan.pair / fan.valid**2 if fan.valid > 0 else 1.0
    total = uses * g.q * x.q * (places.overlap(x.places, g.places, fan.windows) if fan.windows else 1.0)
    total += uses * max(per_sample - 1.0, 0.0) * share * g.positions * x.positions
    total += uses * max(uses - per_sample, 0.0) * share * g.samples * x.samples
    # a gradient that depends on its own value points along the weight at every place
    along = g.radial_positions * max(per_sample - 1.0, 0.0) + g.radial_samples * max(uses - per_sample, 0.0)
    total += uses * along * x.q / max(fan.size * fan.valid, 1.0)
    return max(total, 0.0)


def summed(g: Gradient, out: Signal) -> float:
    """E[(dL/db)^2] of a shift added at every position of every sample."""
    n = out.counts()
    uses, per_sample = n.positions * n.samples, n.positions
    total = uses * g.q + uses * (per_sample - 1) * g.positions + uses * (uses - per_sample) * g.samples
    return max(total, 0.0)


@forward("embedding")
def embedding(call: Call) -> list[Signal | None]:
    """Rows of a table: ids repeat by chance, but those that count positions are all different."""
    indices, weight = call.known(0), call.known(1)
    shape, made = call.input_shapes[1], call.output_shapes[0]
    if weight is None or shape is None or made is None:
        return [None]
    lead = () if indices is None else plain(shape_of(indices.axes), POSITIONS) if indices.free else indices.axes
    axes = (*lead, axis(FEATURES, made[-1])) if len(lead) == len(made) - 1 else None
    if axes is None:
        first = axis(SAMPLES, made[0]) if made[0] == call.batch else axis(POSITIONS, made[0])
        axes = (first, *(axis(POSITIONS, n) for n in made[1:-1]), axis(FEATURES, made[-1]))
    different = indices is not None and indices.distinct and count(axes).positions <= shape[0]
    return [_looked_up(weight, shape[0], axes, different=different)]


def _looked_up(weight: Signal, rows: int, axes: Axes, *, different: bool) -> Signal:
    square = weight.mean * weight.mean
    repeat = square + (weight.q - square) / max(rows, 1)
    return Signal(weight.mean, weight.q, square, square if different else repeat, repeat, axes)


@backward("embedding")
def embedding_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, shape, out = gradients[0], call.input_shapes[1], call.outputs[0] if call.outputs else None
    if g is None or shape is None or out is None:
        return [None, None]
    n = out.counts()
    tokens = n.positions * n.samples
    rate = tokens / max(shape[0], 1)
    # the number of hits of a row is close to Poisson: E[hits^2] = rate + rate^2
    coherent = (n.positions - 1) * g.positions + (n.samples - 1) * n.positions * g.samples
    return [None, Gradient(rate * (g.q + max(coherent, -g.q) / max(shape[0], 1)))]


@forward("bilinear")
def bilinear(call: Call) -> list[Signal | None]:
    left, right, weight, shape = call.known(0), call.known(1), call.known(2), call.input_shapes[2]
    if left is None or right is None or weight is None or shape is None:
        return [None]
    both = replace(
        left,
        mean=left.mean * right.mean,
        q=left.q * right.q,
        features=left.features * right.features,
        positions=left.positions * right.positions,
        samples=left.samples * right.samples,
    )
    axes = (*left.axes[:-1], axis(FEATURES, shape[0]))
    return [project(both, weight, call.known(3), Fan(float(shape[1] * shape[2])), axes)]
