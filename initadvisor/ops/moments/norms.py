"""Normalization: what each kind averages over, forward and back.

A norm subtracts the mean of a block of elements and divides by its spread. The gradient loses the same block's mean
and its component along the normalised values (Yang et al. 2019, arXiv 1902.08129: why a batch norm stack without
skips explodes).
"""

from __future__ import annotations

import math
from dataclasses import replace

from initadvisor.ops.moments import combine
from initadvisor.ops.moments.axes import Counts, count, normalise_dims
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal, block_moment


def _normalise(call: Call, x: Signal, inside: Counts, eps: float, *, centred: bool = True) -> Signal:
    """x without the mean of its block, over the spread of its block."""
    removed = x.block(inside) if centred else 0.0
    spread = max(x.q - removed, 0.0)
    scale = 1.0 / (spread + eps)
    steep = scale * _uneven(x, removed, inside)
    call.memory.update(inside=inside, scale=steep, centred=centred, spread=spread)
    # when two elements lie in one block their common mean goes; when they lie in two, the mean product of the blocks
    features = _between_features(x, removed, inside) if centred else x.features
    positions = (
        x.positions - (removed if inside.positions > 1 else _apart(x, x.positions, inside)) if centred else x.positions
    )
    samples = x.samples - (removed if inside.samples > 1 else _apart(x, x.samples, inside)) if centred else x.samples
    root = math.sqrt(scale)
    return x.fresh(
        mean=0.0 if centred else x.mean * root,
        q=spread * scale,
        features=features * scale,
        positions=positions * scale,
        samples=samples * scale,
        sources={key: value * root for key, value in x.sources.items()},
        places=x.places,
    )


def _between_features(x: Signal, removed: float, inside: Counts) -> float:
    """The mean product of two features once their blocks' means are gone, over pairs in one block and in two.

    Two of one block lose its mean, two of different blocks (the groups of a group norm) what their means share.
    """
    if inside.features <= 1:
        return x.features - _apart(x, x.features, inside)
    together = min((inside.features - 1) / max(x.counts().features - 1, 1), 1.0)
    elsewhere = x.cross(x.features, x.positions) if inside.positions > 1 else 0.0
    means = (x.features + (inside.positions - 1) * elsewhere) / inside.positions
    return together * (x.features - removed) + (1.0 - together) * (x.features - means)


MIN_FREEDOM = 4.0
"""Degrees of freedom below which the mean of an inverse variance no longer makes sense."""


def _uneven(x: Signal, removed: float, inside: Counts) -> float:
    """E[1/v] E[v] of the variance v of a block: blocks of few independent elements differ, small ones weigh most.

    With r degrees of freedom, as many as the eigenvalues of the block's covariance allow, it is r / (r - 2) as for an
    inverse chi-squared variable.
    """
    own = x.q - removed
    if own <= 0.0:
        return 1.0
    near = (x.positions - removed) / own if inside.positions > 1 else 0.0
    far = (x.samples - removed) / own if inside.samples > 1 else 0.0
    shared = (inside.positions - 1) * near * near + (inside.samples - 1) * inside.positions * far * far
    freedom = max(inside.total / (1.0 + shared), MIN_FREEDOM)
    return freedom / (freedom - 2.0)


def _by_part(call: Call, x: Signal, whole: Signal, inside: Counts, eps: float) -> Signal:
    """Each feature is normalised by itself: parts of a concatenation with different spreads come out alike."""
    made = [(share, _normalise(call, part, inside, eps), float(call.memory["scale"])) for share, part in x.parts]
    call.memory["part_scales"] = tuple((share, scale) for share, _, scale in made)

    def average(name: str) -> float:
        return sum(share * float(getattr(part, name)) for share, part, _ in made)

    names = ("mean", "q", "features", "positions", "samples")
    return whole.fresh(places=whole.places, **{name: average(name) for name in names})


def _apart(x: Signal, pair: float, inside: Counts) -> float:
    """The mean product of the means of two blocks whose elements differ in one more role."""
    if inside.features <= 1:
        return pair
    return (pair + (inside.features - 1) * x.cross(x.features, pair)) / inside.features


def _affine(x: Signal, weight: Signal | None, bias: Signal | None) -> Signal:
    """Scale and shift each feature."""
    if weight is not None:
        x = replace(
            x,
            mean=x.mean * weight.mean,
            q=x.q * weight.q,
            features=x.features * weight.mean**2,
            positions=x.positions * weight.q,
            samples=x.samples * weight.q,
            sources={key: value * weight.mean for key, value in x.sources.items()},
        )
    if bias is not None and (bias.mean != 0.0 or bias.q != 0.0):
        shift = replace(bias, axes=x.axes, samples=bias.q, positions=bias.q, free=False, sources={})
        x = combine.add(x, shift)
    return x


def _finish(call: Call, x: Signal, weight: Signal | None, bias: Signal | None) -> list[Signal | None]:
    call.memory["weight"] = weight
    call.memory["normalised"] = x
    return [_affine(x, weight, bias), *[None] * (len(call.output_shapes) - 1)]


@forward("batch_norm")
def batch_norm(call: Call) -> list[Signal | None]:
    x, weight, bias = call.known(0), call.known(1), call.known(2)
    if x is None or call.lost(1, 2):
        return [None] * len(call.output_shapes)
    eps = float(call.attr("eps", 1e-5))
    running_mean, running_var = call.known(3), call.known(4)
    if call.attr("training", running_mean is None):
        rest = [a for place, a in enumerate(x.axes) if place != 1]
        inside = count(rest)
        if x.free:  # a standardised weight: rows are blocks, whatever their roles
            inside = Counts(inside.total, 1, 1)
        else:
            inside = inside._replace(samples=inside.samples if inside.samples == 1 else call.batch)
        made = _normalise(call, x, inside, eps)
        if x.parts:
            made = _by_part(call, x, made, inside, eps)
        return _finish(call, made, weight, bias)
    if running_mean is None or running_var is None:
        return [None] * len(call.output_shapes)
    scale = 1.0 / (running_var.mean + eps)
    call.memory.update(inside=None, scale=scale, centred=False, spread=running_var.mean)
    shift = replace(running_mean, axes=x.axes, samples=running_mean.q, positions=running_mean.q, free=False, sources={})
    return _finish(call, combine.add(x, shift, -1.0).scaled(math.sqrt(scale)), weight, bias)


@forward("layer_norm", "rms_norm", "skip_layer_norm")
def layer_norm(call: Call) -> list[Signal | None]:
    x = call.known(0)
    weight, bias = (call.known(2), call.known(3)) if call.op == "skip_layer_norm" else (call.known(1), call.known(2))
    if call.op == "skip_layer_norm":
        skip = call.known(1)
        x = None if x is None or skip is None else combine.add(x, skip)
    if x is None:
        return [None] * len(call.output_shapes)
    shape = call.attr("normalized_shape")
    first = len(x.axes) - (len(shape) if isinstance(shape, (list, tuple)) else 1)
    if shape is None and call.attr("axis") is not None:
        first = int(call.attr("axis")) % max(len(x.axes), 1)
    inside = count(x.axes[first:])
    eps = call.attrs.get("eps")
    default = 1e-5 if call.op != "rms_norm" else 1e-7
    made = _normalise(call, x, inside, float(default if eps is None else eps), centred=call.op != "rms_norm")
    return _finish(call, made, weight, None if call.op == "rms_norm" else bias)


@forward("group_norm", "instance_norm")
def group_norm(call: Call) -> list[Signal | None]:
    x, weight, bias = call.known(0), call.known(1), call.known(2)
    if x is None:
        return [None] * len(call.output_shapes)
    channels = count(x.axes[1:2]).total
    groups = channels if call.op == "instance_norm" else int(call.attr("num_groups", 1))
    rest = count(x.axes[2:])
    inside = Counts(max(channels // max(groups, 1), 1) * rest.features, rest.positions, 1)
    return _finish(call, _normalise(call, x, inside, float(call.attr("eps", 1e-5))), weight, bias)


@forward("mean_variance_norm")
def mean_variance_norm(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None:
        return [None]
    inside = count(x.axes[d] for d in normalise_dims(call.attr("dim", (0, 2, 3)), len(x.axes)))
    return _finish(call, _normalise(call, x, inside, 1e-9), None, None)


@backward(
    "batch_norm", "layer_norm", "rms_norm", "skip_layer_norm", "group_norm", "instance_norm", "mean_variance_norm"
)
def norm_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    made: list[Gradient | None] = [None] * len(call.inputs)
    g, scale = gradients[0], call.memory.get("scale")
    normalised: Signal | None = call.memory.get("normalised")
    if g is None or scale is None or normalised is None:
        return made
    weight: Signal | None = call.memory.get("weight")
    inside: Counts | None = call.memory["inside"]
    slot = 2 if call.op == "skip_layer_norm" else 1
    _parameters_back(call, made, g, normalised, slot)
    behind = g
    if weight is not None:
        behind = behind.scaled(weight.q)
    if inside is not None:
        behind = _project_out(behind, inside, normalised, call.memory["centred"])
    behind = behind.whole()
    parts = call.memory.get("part_scales", ())
    if parts:
        by_part = tuple(behind.scaled(part_scale) for _, part_scale in parts)
        behind = behind.scaled(sum(share * part_scale for share, part_scale in parts))
        behind.parts = by_part
    else:
        behind = behind.scaled(scale)
    made[0] = behind
    if call.op == "skip_layer_norm":
        made[1] = behind
    return made


def _project_out(g: Gradient, inside: Counts, normalised: Signal, centred: bool) -> Gradient:
    """The gradient without its mean over the block and without its component along the normalised values."""
    mean = g.block(inside) if centred else 0.0
    radial = block_moment(g.q, 0.0, g.radial_positions, g.radial_samples, 0.0, inside)
    radial = min(max(radial, 0.0), g.q)
    positions = g.positions - (mean if inside.positions > 1 else 0.0)
    samples = g.samples - (mean if inside.samples > 1 else 0.0)
    features = g.features - (mean if inside.features > 1 else 0.0)
    # what goes along the normalised values is common to two elements as far as these are
    return Gradient(
        max(g.q - mean - radial, 0.0),
        positions - (radial * normalised.positions if inside.positions > 1 else 0.0),
        samples - (radial * normalised.samples if inside.samples > 1 else 0.0),
        features,
        places=g.places,
    )


def _parameters_back(call: Call, made: list[Gradient | None], g: Gradient, normalised: Signal, slot: int) -> None:
    """The gradients of scale and shift: sums over all places of a feature."""
    n = normalised.counts()
    places, per_sample = n.positions * n.samples, n.positions
    if slot < len(made) and call.known(slot) is not None:
        near = g.radial_positions or g.positions * normalised.positions
        far = g.radial_samples or g.samples * normalised.samples
        total = places * (g.q * normalised.q + (per_sample - 1) * near + (places - per_sample) * far)
        made[slot] = Gradient(max(total, 0.0))
    if call.op != "rms_norm" and slot + 1 < len(made) and call.known(slot + 1) is not None:
        total = places * (g.q + (per_sample - 1) * g.positions + (places - per_sample) * g.samples)
        made[slot + 1] = Gradient(max(total, 0.0))


@forward("normalize")
def normalize(call: Call) -> list[Signal | None]:
    """x over its norm along an axis of n elements: second moment 1/n."""
    x = call.known(0)
    if x is None:
        return [None]
    n = count(x.axes[d] for d in normalise_dims(call.attr("dim", 1), len(x.axes)))
    scale = 1.0 / max(n.total * x.q, float(call.attr("eps", 1e-12)) ** 2)
    call.memory["scale"] = scale
    return [replace(x.scaled(math.sqrt(scale)), value_id=-1)]


@backward("normalize")
def normalize_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    return [None if g is None or "scale" not in call.memory else g.scaled(call.memory["scale"])]


@forward("local_response_norm")
def local_response_norm(call: Call) -> list[Signal | None]:
    """x / (k + alpha q)^beta, the local mean square taken as the global one."""
    x = call.known(0)
    if x is None:
        return [None]
    factor = (float(call.attr("k", 1.0)) + float(call.attr("alpha", 1e-4)) * x.q) ** -float(call.attr("beta", 0.75))
    call.memory["scale"] = factor * factor
    return [replace(x.scaled(factor), value_id=-1)]


backward("local_response_norm")(normalize_back)


@forward("weight_norm")
def weight_norm(call: Call) -> list[Signal | None]:
    """g v / |v|: a row of n elements has second moment g^2 / n."""
    v, g, shape = call.known(0), call.known(1), call.input_shapes[0]
    if v is None or g is None or shape is None:
        return [None]
    dim = int(call.attr("dim", 0))
    n = count(a for place, a in enumerate(v.axes) if place != dim % max(len(shape), 1)).total
    factor = 1.0 / math.sqrt(max(n * v.q, 1e-30))
    return [replace(v.scaled(factor * g.mean, factor * factor * g.q), free=True, value_id=-1)]
