"""Depth, the norm before, and the layers before each layer."""

from __future__ import annotations

from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.origins import Origin, Origins
from initadvisor.graph import Layer


def read_surroundings(draft: Draft, origins: Origins) -> None:
    """Set depth, norm_before and the attrs that tell what lies before a layer."""
    weighted = ("linear", "embedding", "recurrent")
    followers: dict[str, list[str]] = {}
    by_name = {layer.name: layer for layer in draft.graph.layers}
    for layer in draft.graph.layers:
        sites = draft.sites_of(layer)
        if not sites:
            continue
        own = 1 if layer.kind in weighted else 0
        level = int(layer.attrs.get("recurrent_level", 0))
        # The first application counts: a tied table or an unrolled cell is read again further on.
        layer.depth = _depth(draft, origins, sites[0], own + level)
        origin = origins.of(sites[0].input)
        if origin.norm is not None:
            layer.attrs["input_norm"] = origin.norm.name
            if not origin.nonlinear:
                layer.norm_before = origin.norm.name
        if "pair" in layer.attrs:
            layer.attrs["previous"] = (layer.attrs["pair"],)
        elif origin.reset:
            layer.attrs["input_reset"] = origin.reset
        elif origin.previous:
            _link(layer, origin, followers)
    for previous, names in followers.items():
        if len(names) == 1:
            by_name[previous].attrs["feeds_linear"] = names[0]


def _link(layer: Layer, origin: Origin, followers: dict[str, list[str]]) -> None:
    """Say which layers come before one, and how directly."""
    adapters = ("lora_a", "lora_b")
    before = [p for p in origin.previous if layer.role in adapters or p.role not in adapters]
    layer.attrs["previous"] = tuple(p.name for p in before)
    behind = origin.previous[0] if origin.norm is None else origin.norm
    if origin.nonlinear and behind.activation is not None:
        layer.attrs["input_activation"] = behind.activation.name
    if origin.product:
        gates = [p.activation for p in before if p.activation is not None and p.activation.gated]
        if len(gates) == 1:
            layer.attrs["behind_gate"] = gates[0]
    if origin.norm is not None or origin.product or layer.kind != "linear":
        return
    # Branches that are normalised one by one and then concatenated have no norm in common, yet each starts anew.
    steps = tuple(p.name for p in before if p.kind == "linear" and p is not layer and p.norm_after is None)
    if steps:
        layer.attrs["stretch_previous"] = steps
    if len(before) == 1 and not origin.nonlinear and before[0].kind == "linear":
        one = before[0]
        if not (one.attrs.get("feeds_residual") or one.attrs.get("split") or one.attrs.get("gated_by_product")):
            followers.setdefault(one.name, []).append(layer.name)


def _depth(draft: Draft, origins: Origins, site: Site, own: int) -> int:
    """The depth of one application: one more than its input's, or that of its output inside a fused operator."""
    if site.input is not None:
        return origins.depth(site.input) + own
    if site.output is not None:
        return origins.depth(site.output)
    node = draft.wiring.nodes[site.node]
    return max((origins.depth(v) for v in node.inputs if v is not None), default=0) + own
