"""The advice where nobody asks for anything: what each layer is, where it stands, what it feeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

from initadvisor.errors import UsageError
from initadvisor.graph import Activation, Graph, Layer
from initadvisor.initializers import InitSpec
from initadvisor.initializers.recipes import RECIPES, Choice, Choices
from initadvisor.initializers.recipes.places import Branch, branches, in_blocks, unit_norms, zero_biases
from initadvisor.ops.gains import moments
from initadvisor.plan.balance import balanced, stacked
from initadvisor.plan.critical import critical, is_saturating
from initadvisor.plan.gains import recommended_gain
from initadvisor.plan.mirrored import mirrored
from initadvisor.plan.stretch import runs, stretches

DEEP = 10
"""Layers of a plain stretch from which on orthogonal weights are advised: their noise does not add up with depth."""

VERY_DEEP = 30
"""Convolutions of a plain stretch from which on only delta-orthogonal kernels keep the signal (arXiv 1806.05393)."""

LARGEST = 2.0e10
"""Multiplications that orthogonalising a matrix may take, some seconds. Wider layers need it less: the noise that
independent weights add is the sum of the inverse widths (Hanin and Rolnick 2018, arXiv 1803.01719)."""

_SUBTRACTING = ("batch_norm", "instance_norm")
"""Norms that take from each unit its own mean."""

RECTIFIERS = {"relu": 0.0, "relu6": 0.0, "leaky_relu": 0.01, "prelu": 0.25}
_NO_STREAM = ("head", "router", "lora_a", "lora_b", "squeeze_excite", "modulation")


def default_choices(graph: Graph) -> Choices:
    """A choice for every parameter of every layer that is understood."""
    chosen = {**unit_norms(graph), **zero_biases(graph, "biases start at zero")}
    place, run = stretches(graph), runs(graph)
    for layer in graph.layers:
        if layer.weight is None:
            continue
        make = _KINDS.get(layer.kind)
        choice = make(graph, layer) if make is not None else None
        if layer.kind == "linear":
            choice = _in_run(layer, run.get(layer.name, (1, 1))[1]) or _linear(layer, *place.get(layer.name, (1, 1)))
            chosen |= _critical_bias(layer, place.get(layer.name, (1, 1))[1])
        if choice is not None:
            chosen[layer.weight] = choice
    chosen |= _mean_free(graph)
    chosen |= RECIPES["recurrent"](graph)
    chosen |= _residual(graph, chosen)
    return chosen | balanced(graph, chosen, _plain_layers(graph, place)) | mirrored(graph)


def balanced_weights(graph: Graph) -> frozenset[str]:
    """The weights whose gain weighs the signal against the gradient; the signal alone must not move it again."""
    links = stacked(graph, _plain_layers(graph, stretches(graph)))
    return frozenset(layer.weight for _, layer in links if layer.weight is not None)


def _plain_layers(graph: Graph, place: Mapping[str, tuple[int, int]]) -> dict[str, Layer]:
    return {layer.name: layer for layer in graph.layers if _plain(layer, place.get(layer.name, (1, 1))[1])}


def stack_gains(graph: Graph) -> dict[str, tuple[float, bool]]:
    """For each linear layer, the gain that its place calls for and whether its rows should sum to zero."""
    place = stretches(graph)
    return {
        layer.name: _stacked(layer, *place.get(layer.name, (1, 1)))[:2]
        for layer in graph.layers
        if layer.kind == "linear" and layer.weight is not None and layer.role not in _NO_STREAM
    }


def _stacked(layer: Layer, place: int, length: int) -> tuple[float, bool, str]:
    """(gain, whether rows sum to zero, reason) of a layer at a place in its stretch."""
    gain, reason = recommended_gain(layer)
    activation = layer.activation
    if activation is None or not _plain(layer, length):
        return gain, False, reason
    if is_saturating(activation):
        start = critical(activation.name, activation.params, length)
        own = start.first if place == 1 else start.gain
        reason = f"{length} {activation.name} layers in a row keep signal and gradient only at the critical gain"
        return own, start.centred and place > 1, f"{reason}, {own:.4g} here"
    if length >= DEEP and place == 1 and activation.name not in RECTIFIERS:
        # What is not homogeneous has its fixed point at a unit pre-activation.
        return 1.0, False, f"the first of {length} plain layers brings the signal to where {activation.name} keeps it"
    return gain, False, f"{reason}; {length} plain layers in a row" if length >= DEEP else reason


def _plain(layer: Layer, length: int) -> bool:
    """Whether depth matters: a norm behind erases the scale, and with it what depth does."""
    return length >= 4 and not layer.scale_invariant and layer.residual_role in (None, "trunk")


def _linear(layer: Layer, place: int, length: int) -> Choice:
    special = _ROLES.get(layer.role or "")
    if special is not None:
        return special(layer)
    gain, centred, reason = _stacked(layer, place, length)
    activation = layer.activation
    if _plain(layer, length) and (length >= DEEP or is_saturating(activation)) and _work(layer) <= LARGEST:
        return Choice(in_blocks(layer, _isometry(layer, gain, length, centred)), reason)
    if activation is not None and activation.name in RECTIFIERS and "behind_gate" not in layer.attrs:
        slope = dict(activation.params).get("negative_slope", RECTIFIERS[activation.name])
        spec = InitSpec("kaiming_normal", {"negative_slope": slope} if slope else {})
        return Choice(in_blocks(layer, spec), reason)
    if abs(gain - 1.0) < 1e-9:
        return Choice(in_blocks(layer, InitSpec("lecun_normal")), reason)
    spec = InitSpec("variance_scaling", {"scale": gain * gain, "mode": "fan_in", "distribution": "normal"})
    return Choice(in_blocks(layer, spec), reason)


def _in_run(layer: Layer, length: int) -> Choice | None:
    """An orthogonal weight in front of a norm in a deep run of dense layers without skips; None elsewhere.

    The norm erases the scale and leaves the directions: independent weights stretch some and shrink others, a little
    more in each layer. Calibration part of benchmarks/trainability: accuracy .54 -> .91 on digits behind 32 layer
    norms, explained variance .06 -> .47 behind 24; convolutions gain nothing.
    """
    if length < DEEP or not layer.scale_invariant or layer.residual_role not in (None, "trunk"):
        return None
    if layer.receptive_field > 1:
        return None
    if layer.role in _NO_STREAM or layer.role in _ROLES or _work(layer) > LARGEST:
        return None
    gain, reason = recommended_gain(layer)
    return Choice(in_blocks(layer, _isometry(layer, gain, 1, False)), f"{reason}; {length} layers in a row with norms")


def _mean_free(graph: Graph) -> Choices:
    """Rows that sum to zero where a layer or group norm would amplify little but the mean of what comes in.

    Behind a sigmoid the mean, the same for every sample, is most of the signal. Batch norm subtracts it from each
    unit; other norms subtract the mean over units, which rows of different sums have made into a pattern that all
    samples share, and what tells them apart shrinks by the same factor from layer to layer.
    """
    layers = {layer.name: layer for layer in graph.layers}
    found: Choices = {}
    for layer in graph.layers:
        norm = layers.get(layer.norm_after or "")
        before = [layers[name] for name in layer.attrs.get("previous", ()) if name in layers]
        if layer.kind != "linear" or layer.weight is None or layer.role in _NO_STREAM or norm is None or not before:
            continue
        if norm.op in _SUBTRACTING or layer.groups > 1 or _work(layer) > LARGEST:
            continue
        if all(_mostly_mean(one.activation) for one in before):
            spec = InitSpec("orthogonal", {"gain": 1.0, "unit_variance": True, "centred": True})
            reason = f"rows that sum to zero keep the mean behind {_name(before[0])} out of {norm.name}"
            found[layer.weight] = Choice(in_blocks(layer, spec), reason)
    return found


def _name(layer: Layer) -> str:
    return layer.activation.name if layer.activation is not None else layer.op


def _mostly_mean(activation: Activation | None) -> bool:
    """Whether more than half of the second moment behind an activation is its mean's, at unit pre-activations."""
    if activation is None or activation.gated:
        return False
    try:
        found = moments(activation.name, 1.0, **dict(activation.params))
    except UsageError:
        return False
    return found.mean**2 > 0.5 * found.second


def _work(layer: Layer) -> float:
    """Multiplications of a QR decomposition of the layer's matrix."""
    fans = float(layer.fan_in or 0), float(layer.fan_out or 0)
    return min(fans) ** 2 * max(fans)


def _isometry(layer: Layer, gain: float, length: int, centred: bool) -> InitSpec:
    spatial = layer.receptive_field > 1 and layer.layout is not None and layer.layout.stride == 1
    if spatial and layer.groups == 1 and length >= VERY_DEEP:
        return InitSpec("delta_orthogonal", {"gain": gain, "unit_variance": True})
    params = {"gain": gain, "unit_variance": True, **({"centred": True} if centred else {})}
    return InitSpec("orthogonal", params)


def _critical_bias(layer: Layer, length: int) -> Choices:
    activation = layer.activation
    if layer.bias is None or layer.role in _NO_STREAM or not _plain(layer, length) or activation is None:
        return {}
    if not is_saturating(activation):
        return {}
    std = critical(activation.name, activation.params, length).bias
    return {layer.bias: Choice(InitSpec("normal", {"std": std}), f"the critical line's bias for {length} layers")}


def _residual(graph: Graph, chosen: Mapping[str, Choice]) -> Choices:
    """Branch ends: zero without norms (Fixup), smaller by the root of their number in a pre-norm transformer."""
    found = branches(graph)
    bare = [b for b in found if not b.norms and not b.post_norm and not _normed(b)]
    changed: Choices = {}
    if len(bare) >= 2:
        every = RECIPES["fixup"](graph)
        head = {layer.weight for layer in graph.layers if layer.role == "head"}
        for branch in bare:
            if branch.scales:
                continue
            for layer in (*branch.layers, *branch.ends):
                if layer.weight in every and layer.weight not in head:
                    changed[layer.weight] = every[layer.weight]
    pre = [b for b in found if b.norms and not b.scales and b.ends]
    if len(pre) >= 4:
        for branch in pre:
            for end in branch.ends:
                before = chosen.get(end.weight or "")
                if end.kind == "linear" and before is not None and not end.scale_invariant and _scalable(before.spec):
                    changed[end.weight or ""] = _smaller(before, end, len(pre))
    return changed


def _normed(branch: Branch) -> bool:
    return any(layer.attrs.get("input_norm") or layer.norm_after for layer in branch.layers)


def _scalable(spec: InitSpec) -> bool:
    return spec.method in ("variance_scaling", "lecun_normal", "kaiming_normal")


def _smaller(choice: Choice, layer: Layer, count: int) -> Choice:
    gain, _ = recommended_gain(layer)
    params = {"scale": gain * gain / count, "mode": "fan_in", "distribution": "normal"}
    reason = f"it ends one of {count} residual branches, whose sum keeps unit variance with 1/sqrt({count}) each"
    return Choice(InitSpec("variance_scaling", params), reason)


def _embedding(graph: Graph, layer: Layer) -> Choice:
    node = graph.nodes[layer.node] if layer.node is not None and layer.node < len(graph.nodes) else None
    shape = graph.parameters[layer.weight or ""].shape
    tied = layer.attrs.get("tied_fan_in")
    if tied:
        std, reason = 1.0 / sqrt(float(tied)), "also the output projection: its logits start with unit variance"
    elif graph.summary.get("attentions") and any(each.kind == "norm" for each in graph.layers):
        std, reason = 0.02, "embeddings of a transformer start small beside their norms"
    else:
        std, reason = 1.0, "a row is picked, not summed: unit variance in, unit variance out"
    spec = InitSpec("normal", {"std": std})
    padding = node.attrs.get("padding_idx") if node is not None else None
    if isinstance(padding, int) and shape and -shape[0] <= padding < shape[0]:
        spec = _with_zero_row(spec, padding % shape[0], shape[0])
        reason += f"; the padding row {padding} stays zero"
    return Choice(spec, reason)


def _with_zero_row(spec: InitSpec, row: int, rows: int) -> InitSpec:
    spans = [("before", 0, row, spec), ("padding", row, row + 1, InitSpec("zeros")), ("after", row + 1, rows, spec)]
    blocks = [{"name": n, "start": a, "stop": b, "spec": s.to_json()} for n, a, b, s in spans if a < b]
    return InitSpec("blocks", {"axis": 0, "blocks": blocks})


def _table(graph: Graph, layer: Layer) -> Choice | None:
    if layer.role in ("position", "token", "relative_position"):
        return Choice(InitSpec("truncated_normal", {"std": 0.02}), f"a {layer.role} table starts small")
    return None


def _scale(graph: Graph, layer: Layer) -> Choice | None:
    if layer.role == "activation_slope":
        return Choice(InitSpec("constant", {"value": 0.25}), "PReLU starts at a slope of 1/4 (arXiv 1502.01852)")
    if layer.role == "layer_scale":
        return RECIPES["layer_scale"](graph).get(layer.weight or "")
    return None


_KINDS: dict[str, Callable[[Graph, Layer], Choice | None]] = {
    "embedding": _embedding,
    "table": _table,
    "scale": _scale,
}
_ROLES: dict[str, Callable[[Layer], Choice]] = {
    "head": lambda layer: Choice(in_blocks(layer, InitSpec("lecun_normal")), "outputs start with unit variance"),
    "router": lambda layer: Choice(InitSpec("moe_router"), "small router logits: every expert gets tokens"),
    "lora_a": lambda layer: Choice(InitSpec("lora_a"), "LoRA's first factor is drawn, so that the second learns"),
    "lora_b": lambda layer: Choice(InitSpec("lora_b"), "a zero second factor leaves the base model as it is"),
    "modulation": lambda layer: Choice(InitSpec("zeros"), "zero modulation makes the block the identity (adaLN-zero)"),
    "relative_position": lambda layer: Choice(
        InitSpec("truncated_normal", {"std": 0.02}), "a table of biases starts small"
    ),
}
