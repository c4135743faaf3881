"""Facts of one layer."""

from __future__ import annotations

import math
from typing import Any

from initadvisor.analysis.collect.blocks import (
    block_rms,
    forget_gate,
    identical_blocks,
    orthogonal_share,
)
from initadvisor.analysis.collect.bonds import ASIDE, Bonds
from initadvisor.analysis.facts.layer import LayerFacts
from initadvisor.analysis.facts.stretch import PeerFacts, StretchFacts
from initadvisor.graph import Activation, Layer

LEAST_CHI = 0.5
"""Below this share of the squared gradient (sigmoid .15, softplus .32) the backward gain is the one to use."""


def layer_facts(bonds: Bonds, layer: Layer) -> LayerFacts:
    """The facts of a layer with a weight that is not a norm."""
    known = bonds.graph.edges
    facts: dict[str, Any] = {
        "name": layer.name,
        "op": layer.op,
        "kind": layer.kind,
        "role": (layer.role or "") if known else None,
        "weight": layer.weight,
        "bias": layer.bias or "",
        "has_bias": layer.bias is not None,
        "reparametrised": layer.attrs.get("reparametrised", ""),
        "depth": layer.depth,
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "gap": layer.name in bonds.gaps,
        "tied": bool(layer.tied_to) or "tied_fan_in" in layer.attrs,
        "tied_to": layer.tied_to,
        **_shape(bonds, layer),
        **_scale(bonds, layer),
        **_parts(bonds, layer),
        "peers": _peers(bonds, layer),
    }
    if known:
        facts |= _surroundings(bonds, layer)
    return LayerFacts(**facts)


def _shape(bonds: Bonds, layer: Layer) -> dict[str, Any]:
    facts: dict[str, Any] = {"groups": layer.groups, "receptive_field": layer.receptive_field}
    if layer.weight is not None and layer.kind in ("linear", "recurrent", "embedding"):
        shape = bonds.graph.parameters[layer.weight].shape
        if layer.kind == "embedding" and shape:
            facts["entries"] = shape[0]
    stored = bonds.layout_shape(layer)
    if stored is None:
        return facts
    layout, shape = stored
    conventional = layout.conventional_fans(shape)
    channels_in, channels_out = layout.channels_in(shape), layout.channels_out(shape)
    return facts | {
        "conventional_fan_in": conventional[0],
        "conventional_fan_out": conventional[1],
        "in_features": channels_in,
        "out_features": channels_out,
        "stride": layout.stride,
        "transposed": layout.transposed,
        "depthwise": layout.groups > 1 and layout.groups == channels_in,
    }


def _scale(bonds: Bonds, layer: Layer) -> dict[str, Any]:
    rms, activation = bonds.rms(layer), bonds.activation(layer)
    facts: dict[str, Any] = {"gain": bonds.gain(layer)}
    if rms is not None and layer.fan_out is not None:
        facts["backward_gain"] = rms * math.sqrt(layer.fan_out)
    if rms is not None and layer.attrs.get("tied_fan_in") is not None:
        facts["tied_fan_in"] = layer.attrs["tied_fan_in"]
        facts["tied_logit_std"] = rms * math.sqrt(layer.attrs["tied_fan_in"])
    if activation is not None:
        facts |= _recommended(layer, activation)
        slope = dict(activation.params).get("negative_slope")
        if activation.name == "leaky_relu":
            facts["negative_slope"] = 0.01 if slope is None else slope
    return facts


def _recommended(layer: Layer, activation: Activation) -> dict[str, Any]:
    """Gains that keep a unit second moment through the layer and its activation.

    A gate keeps its pre-activation at one; the layer behind the product makes up for it: 1/sqrt(E[f(z)^2]) (SwiGLU
    1.677).
    """
    if activation.gated or layer.role in ("gate_up",):
        forward = backward = 1.0
    else:
        forward, backward = _inverse_root(activation.second_moment), _inverse_root(activation.slope_moment)  # type: ignore[assignment]
        if forward is not None and backward is not None and forward**2 < LEAST_CHI * backward**2:
            forward = backward
    gate = layer.attrs.get("behind_gate")
    if gate is not None and forward is not None:
        lost = _inverse_root(gate.second_moment)
        forward = forward * lost if lost is not None else forward
    return {"recommended_gain": forward, "recommended_backward_gain": backward}


def _inverse_root(moment: float | None) -> float | None:
    return None if moment is None or not 0 < moment < math.inf else moment**-0.5


def _parts(bonds: Bonds, layer: Layer) -> dict[str, Any]:
    facts: dict[str, Any] = {"blocks": tuple(b.name for b in layer.blocks)}
    parameter = bonds.graph.parameters.get(layer.weight) if layer.weight else None
    if parameter is None:
        return facts
    if layer.blocks and layer.kind in ("linear", "recurrent"):
        rms = block_rms(parameter, layer.blocks)
        if rms is not None:
            facts["block_gains"] = tuple(r * math.sqrt(b.fan_in) for r, b in zip(rms, layer.blocks, strict=True))
        facts["identical_blocks"] = identical_blocks(parameter, layer.blocks, rms)
    if layer.role == "recurrent_hidden":
        facts["blocks_orthogonal"] = orthogonal_share(parameter, layer)
        facts |= forget_gate(bonds, layer)
    return facts


def _surroundings(bonds: Bonds, layer: Layer) -> dict[str, Any]:
    activation = bonds.activation(layer)
    after = bonds.layers.get(layer.norm_after or "")
    before = bonds.previous(layer)
    zero = [bonds.is_zero(p) for p in before]
    facts: dict[str, Any] = {
        "activation": activation.name if activation is not None else None,
        "activation_gated": activation.gated if activation is not None else None,
        "in_product": bool(layer.attrs.get("gates_product") or layer.attrs.get("gated_by_product")),
        "input_activation": layer.attrs.get("input_activation", ""),
        "norm_before": layer.norm_before or "",
        "norm_after": layer.norm_after or "",
        "norm_after_op": after.op if after is not None else "",
        "input_norm": layer.attrs.get("input_norm", ""),
        "scale_invariant": bool(layer.scale_invariant),
        "scale_erased": bool(layer.scale_invariant) or bool(layer.attrs.get("scale_erased")),
        "residual_role": layer.residual_role or "",
        "feeds_linear": layer.attrs.get("feeds_linear", ""),
        "previous": ", ".join(p.name for p in before),
        "previous_zero": None if None in zero else bool(zero) and all(zero) and _stays_zero(before),
        "previous_identical": bool(before) and all(map(bonds.is_identical, before)),
        "constant_run": bonds.constant_runs.get(layer.name, 0),
        "adapts": layer.attrs.get("adapts", ""),
    }
    following = bonds.layers.get(layer.attrs.get("feeds_linear", ""))
    own, theirs = bonds.layout_shape(layer), bonds.layout_shape(following) if following is not None else None
    if own is not None and theirs is not None:
        facts["feeds_narrowest"] = float(min(own[0].channels_in(own[1]), theirs[0].channels_out(theirs[1])))
    facts["stretch"] = _stretch(bonds, layer)
    return facts


def _stretch(bonds: Bonds, layer: Layer) -> StretchFacts:
    stretch = bonds.stretches.get(layer.name)
    if stretch is None:
        # A layer of no stretch ends none; one whose gain or activation is unknown may.
        weight = bonds.weight(layer)
        constant = weight is not None and bool(weight.constant)
        known = layer.kind != "linear" or layer.role in ASIDE or constant
        return StretchFacts(ends=False) if known else StretchFacts()
    return StretchFacts(
        start=stretch.start,
        depth=stretch.depth,
        ends=stretch.ends,
        signal=stretch.signal,
        gradient=stretch.gradient,
        born_dead=stretch.born_dead,
        default_share=stretch.default_share,
    )


def _peers(bonds: Bonds, layer: Layer) -> PeerFacts:
    standing, weight = bonds.peers.get(layer.name), bonds.weight(layer)
    copy_of = None if weight is None or weight.copies is None else bonds.originals.get(layer.weight or "", "")
    if standing is None:
        return PeerFacts(count=0, copy_of=copy_of)
    return PeerFacts(
        count=standing.peers, ratio=standing.ratio, recipe=standing.recipe, spread=standing.spread, copy_of=copy_of
    )


_NONZERO_AT_ZERO = frozenset({"sigmoid", "softmax", "softplus", "hardsigmoid", "exp", "cos", "gaussian", "unknown"})


def _stays_zero(before: list[Layer]) -> bool:
    """Whether zero passes the activations behind these layers as zero, so that nothing wakes the next layer."""
    return all(p.activation is None or p.activation.name not in _NONZERO_AT_ZERO for p in before)
