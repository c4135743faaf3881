"""Facts of one normalization layer."""

from __future__ import annotations

from typing import Any

from initadvisor.analysis.collect.bonds import Bonds
from initadvisor.analysis.facts.norm import NormFacts
from initadvisor.analysis.norm_groups import group_count
from initadvisor.graph import Layer


def norm_facts(bonds: Bonds, layer: Layer) -> NormFacts:
    """The facts of a norm, its running statistics included."""
    attrs = layer.attrs
    mean = bonds.tensors.get(attrs.get("running_mean", ""))
    var = bonds.tensors.get(attrs.get("running_var", ""))
    facts: dict[str, Any] = {}
    if mean is not None and mean.absmax is not None:
        facts["running_mean_absmax"] = mean.absmax
    if var is not None and var.min is not None:
        facts["running_var_min"], facts["running_var_max"] = var.min, var.max
        facts["running_var_mean"] = var.mean
    if facts.keys() >= {"running_mean_absmax", "running_var_min"}:
        assert var is not None
        facts["running_fresh"] = facts["running_mean_absmax"] == 0 and var.min == 1 and var.max == 1
    channels = attrs.get("channels")
    if layer.op == "batch_norm" and isinstance(channels, int) and channels > 0:
        facts["advised_groups"] = group_count(channels)
    # Of a file nobody knows how it was trained.
    live = layer.op == "batch_norm" and bonds.graph.source == "torch"
    momentum, eps = attrs.get("momentum"), attrs.get("eps")
    return NormFacts(
        name=layer.name,
        op=layer.op,
        channels=attrs.get("channels"),
        groups=layer.groups,
        eps=float(eps) if isinstance(eps, (int, float)) else None,
        momentum=float(momentum) if isinstance(momentum, (int, float)) else None,
        affine=layer.weight is not None,
        has_bias=layer.bias is not None,
        weight_offset=float(attrs.get("weight_offset", 0.0)),
        activation=layer.activation.name if layer.activation is not None else None,
        residual_role=(layer.residual_role or "") if bonds.graph.edges else None,
        depth=layer.depth,
        incoming_fresh=_incoming_fresh(bonds, layer),
        synchronised=bool(attrs.get("synchronised", False)) if live else None,
        evaluating=bool(attrs.get("evaluating", False)) if live else None,
        decomposed=bool(attrs.get("decomposed", False)),
        **facts,
    )


def _incoming_fresh(bonds: Bonds, layer: Layer) -> bool | None:
    """Whether the layers that this norm follows look drawn; None where none is known."""
    seen = [facts.draw.trained for facts in map(bonds.weight, bonds.before_norm(layer)) if facts and facts.draw]
    known = [trained for trained in seen if trained is not None]
    return not any(known) if known else None
