"""Pooling over windows and whole maps, resampling."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from initadvisor.ops import functions
from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments import places
from initadvisor.ops.moments.activations import function_of, root_of
from initadvisor.ops.moments.axes import Axes, count, resized
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.weighted import pairs_of, valid_taps
from initadvisor.ops.quadrature import nodes


def _pooled_axes(x: Signal, shape: tuple[int, ...], spatial: int) -> Axes:
    lead = x.axes[: len(x.axes) - spatial]
    tail = x.axes[len(x.axes) - spatial :]
    return (*lead, *(resized(one, n) for one, n in zip(tail, shape[len(shape) - spatial :], strict=True)))


def _window(call: Call, spatial: int) -> tuple[int, float]:
    """Elements of a window, and the share of them that lie on the input."""
    given, made = call.input_shapes[0], call.output_shapes[0]
    kernel = pairs_of(call.attrs.get("kernel_size"), spatial, 1)
    stride = pairs_of(call.attrs.get("stride") or call.attrs.get("kernel_size"), spatial, 1)
    padding = pairs_of(call.attrs.get("padding"), spatial, 0)
    valid = 1.0
    if given is not None and made is not None:
        for a in range(-spatial, 0):
            valid *= valid_taps(given[a], made[a], kernel[a], stride[a], 1, padding[a])[0]
    return prod(kernel), valid


def _windows(call: Call, spatial: int) -> tuple[places.Window, ...]:
    """How the windows lie along each axis."""
    given, made = call.input_shapes[0], call.output_shapes[0]
    if given is None or made is None or not call.attrs.get("kernel_size"):
        return ()
    kernel = pairs_of(call.attrs.get("kernel_size"), spatial, 1)
    stride = pairs_of(call.attrs.get("stride") or call.attrs.get("kernel_size"), spatial, 1)
    padding = pairs_of(call.attrs.get("padding"), spatial, 0)
    return tuple(places.Window(given[a], made[a], kernel[a], stride[a], 1, padding[a]) for a in range(-spatial, 0))


def _along(call: Call, x: Signal, spatial: int) -> places.Profile:
    """The profile behind the windows, which are as large inside as at the border."""
    windows = _windows(call, spatial) if x.places else ()
    if not windows:
        return ()
    flat = places.ahead((), windows)[0]
    return tuple(u / v for u, v in zip(places.ahead(x.places, windows)[0], flat, strict=True))


def _handed_back(call: Call, g: Gradient, spatial: int) -> places.Profile:
    windows = _windows(call, spatial) if g.places else ()
    return places.back(g.places, windows)[0] if windows else ()


def _spatial(call: Call) -> int:
    kernel = call.attrs.get("kernel_size") or call.attrs.get("output_size")
    if isinstance(kernel, (tuple, list)):
        return len(kernel)
    shape = call.input_shapes[0] or ()
    native = str(call.attrs.get("spatial", ""))
    return int(native) if native else max(len(shape) - 2, 1)


@forward("avg_pool")
def avg_pool(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    spatial = _spatial(call)
    size, valid = _window(call, spatial)
    inside = size * valid
    scale = valid * valid if call.attr("count_include_pad", True) else 1.0
    call.memory["square"] = (inside, scale)
    q = (x.q + (inside - 1.0) * x.positions) / inside * scale
    made = _averaged(x, q, scale, _pooled_axes(x, shape, spatial), inside)
    made.places = _along(call, x, spatial)
    return [made]


def _averaged(x: Signal, q: float, scale: float, axes: Axes, n: float) -> Signal:
    """The mean over n positions: what is common to them stays."""
    root = math.sqrt(scale)
    across = x.cross(x.features, x.positions)
    return x.fresh(
        mean=x.mean * root,
        q=q,
        features=(x.features + (n - 1.0) * across) / n * scale,
        positions=x.positions * scale,
        samples=x.samples * scale,
        axes=axes,
        sources={},
    )


@backward("avg_pool")
def avg_pool_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, x, out = gradients[0], call.known(0), call.outputs[0] if call.outputs else None
    if g is None or x is None or out is None or "square" not in call.memory:
        return [None]
    inside, scale = call.memory["square"]
    # every input lies in `windows` windows on average, each of which hands it 1/inside of its gradient
    before, after = x.counts(), out.counts()
    windows = after.total * inside / before.total
    share = scale / (inside * inside)
    q = share * windows * (g.q + max(windows - 1.0, 0.0) * g.positions)
    # two inputs share a window as often as they are close
    close = min(max(inside - 1.0, 0.0) / max(before.positions - 1, 1), 1.0)
    positions = share * windows * (close * g.q + (windows - close) * g.positions)
    along = _handed_back(call, g, _spatial(call)) if call.op == "avg_pool" else ()
    return [Gradient(q, positions, windows * windows * share * g.samples, places=along)]


@forward("adaptive_avg_pool")
def adaptive_avg_pool(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    spatial = _spatial(call)
    axes = _pooled_axes(x, shape, spatial)
    before, after = count(x.axes).positions, max(count(axes).positions, 1)
    n = max(before / after, 1.0)
    call.memory["square"] = (n, 1.0)
    return [_averaged(x, (x.q + (n - 1.0) * x.positions) / n, 1.0, axes, n)]


backward("adaptive_avg_pool")(avg_pool_back)


@lru_cache(maxsize=2048)
def _maximum(
    f: ScalarFunction, mean: float, shared: float, local: float, n: float
) -> tuple[float, float, float, tuple[float, float]]:
    """Moments of max f(x) over n inputs x = mean + sqrt(shared) s + sqrt(local) z_i with f monotone.

    Returns E[y], E[y^2], E[E[y | s]^2], and for the picked inputs E[f'^2] and E[z f']^2.
    """
    z, w = nodes(0.0, 1.0)
    density = n * functions.normal_cdf(z) ** (n - 1.0)
    weight = w * density
    weight /= weight.sum()
    outer, outer_weight = np.polynomial.hermite_e.hermegauss(16)
    outer_weight = outer_weight / outer_weight.sum()
    x = mean + math.sqrt(shared) * outer[:, None] + math.sqrt(local) * z[None, :]
    y = np.asarray(f.function(x.ravel())).reshape(x.shape)
    slope = np.asarray(f.derivative(x.ravel())).reshape(x.shape)
    inner = y @ weight
    std = math.sqrt(shared + local)
    radial = float(outer_weight @ ((slope * (x - mean)) @ weight)) / std if std > 0 else 0.0
    return (
        float(outer_weight @ inner),
        float(outer_weight @ ((y * y) @ weight)),
        float(outer_weight @ (inner * inner)),
        (float(outer_weight @ ((slope * slope) @ weight)), radial * radial),
    )


@forward("max_pool", "adaptive_max_pool", "fractional_max_pool")
def max_pool(call: Call) -> list[Signal | None]:
    """The maximum over windows: of the base, where the input is a rising function of one (ReLU after a norm)."""
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None, *rest]
    spatial = _spatial(call)
    axes = _pooled_axes(x, shape, spatial)
    if call.op == "max_pool":
        size, valid = _window(call, spatial)
        n = max(size * valid, 1.0)
    else:
        n = max(count(x.axes).positions / max(count(axes).positions, 1), 1.0)
    root, f = x.law if x.law is not None else (root_of(x), function_of(x))
    square = root.mean * root.mean
    common = min(max(root.positions - square, 0.0), root.variance)
    mean, q, positions, picked = _maximum(f, root.mean, common, root.variance - common, round(n, 6))
    samples = _between_samples(root, f, n, mean, positions)
    call.memory["repeats"] = _repeats(call, spatial) if call.op == "max_pool" else 0.0
    call.memory["picked"] = picked
    along = _along(call, x, spatial) if call.op == "max_pool" else ()
    return [Signal(mean, q, mean * mean, positions, samples, axes, places=along), *rest]


def _repeats(call: Call, spatial: int) -> float:
    """How many other windows pick the same element as a window does: sum of overlap over union of both."""
    kernel = pairs_of(call.attrs.get("kernel_size"), spatial, 1)
    stride = pairs_of(call.attrs.get("stride") or call.attrs.get("kernel_size"), spatial, 1)
    size = prod(kernel)
    total = 0.0
    for offset in product(*(range(-((k - 1) // s), (k - 1) // s + 1) for k, s in zip(kernel, stride, strict=True))):
        overlap = prod(max(k - abs(d) * s, 0) for d, k, s in zip(offset, kernel, stride, strict=True))
        total += overlap / (2 * size - overlap) if any(offset) else 0.0
    return total


def _between_samples(root: Signal, f: ScalarFunction, n: float, mean: float, positions: float) -> float:
    """E[y y'] of two samples: between the square of the mean and the value within a sample, by the inputs' share."""
    square = root.mean * root.mean
    within, across = root.positions - square, root.samples - square
    if within <= 1e-12 * max(root.q, 1e-300):
        return mean * mean
    return mean * mean + (positions - mean * mean) * min(max(across / within, 0.0), 1.0)


@backward("max_pool", "adaptive_max_pool", "fractional_max_pool")
def max_pool_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """One element of each window gets the gradient; `picked` tells the activation in front how steep it is there."""
    g, x, out = gradients[0], call.known(0), call.outputs[0] if call.outputs else None
    if g is None or x is None or out is None or "repeats" not in call.memory:
        return [None] * len(call.inputs)
    share = out.counts().total / x.counts().total
    q = share * (g.q + call.memory["repeats"] * g.positions)
    along = _handed_back(call, g, _spatial(call)) if call.op == "max_pool" else ()
    made = Gradient(q, g.positions * share * share, g.samples * share * share, places=along)
    made.picked = (1.0, *call.memory["picked"])
    return [made, *[None] * (len(call.inputs) - 1)]


@forward("interpolate")
def interpolate(call: Call) -> list[Signal | None]:
    """Nearest: the same numbers repeated. Linear upsampling averages neighbours: 2/3 of the local part an axis."""
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    spatial = max(len(shape) - 2, 1)
    axes = _pooled_axes(x, shape, spatial)
    mode = str(call.attr("mode", "nearest"))
    grown = prod(shape) / max(count(x.axes).total, 1)
    local = 1.0
    if "linear" in mode or "cubic" in mode:
        local = (2.0 / 3.0) ** spatial if grown > 1.0 else max(grown, 1e-9) if call.attr("antialias") else 1.0
    call.memory["grown"] = grown
    call.memory["local"] = local
    q = x.positions + (x.q - x.positions) * local
    return [x.fresh(q=q, axes=axes, sources={})]


@backward("interpolate")
def interpolate_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """Each input feeds `grown` outputs: the local part adds up by count, the common part coherently."""
    g = gradients[0]
    rest: list[Gradient | None] = [None] * (len(call.inputs) - 1)
    if g is None or "grown" not in call.memory:
        return [None, *rest]
    n = call.memory["grown"]
    q = n * call.memory["local"] * (g.q - g.positions) + n * n * g.positions
    return [Gradient(max(q, 0.0), n * n * g.positions, n * n * g.samples), *rest]
