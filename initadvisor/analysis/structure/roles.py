"""What each weight matrix is for: stem, head, router, expert, gate, feed-forward, hidden."""

from __future__ import annotations

from initadvisor.analysis.structure.attention import Attention
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.gated import gate_roles
from initadvisor.analysis.structure.gates import Gate
from initadvisor.analysis.structure.origins import Origins
from initadvisor.analysis.structure.reach import reaches
from initadvisor.analysis.structure.tables import table_roles
from initadvisor.graph import Layer, Node

_SOFT = frozenset({"softmax", "sigmoid", "log_softmax", "gumbel_softmax"})
_CHOICES = frozenset({"topk", "argmax", "one_hot", "multinomial"})
_MATRIX = frozenset({"linear", "embedding", "recurrent"})


def read_roles(draft: Draft, origins: Origins, gates: dict[int, Gate], attentions: list[Attention]) -> None:
    """Fill `Layer.role` where attention has not."""
    for layer in draft.graph.layers:
        if layer.kind == "linear" and layer.role is None and _is_router(draft, layer):
            layer.role = "router"
    gate_roles(draft, origins, gates)
    table_roles(draft, attentions)
    ahead = _weights_ahead(draft)
    for layer in draft.graph.layers:
        sites = draft.sites_of(layer)
        if layer.kind == "linear" and layer.role is None and sites:
            layer.role = _linear_role(draft, layer, sites, origins, ahead)
    _feed_forward(draft, origins)
    for layer in draft.graph.layers:
        if layer.kind == "linear" and layer.role is None:
            layer.role = "hidden"


def _weights_ahead(draft: Draft) -> list[bool]:
    """For each value, whether a layer with a weight matrix lies between it and the outputs.

    Only real numbers carry a signal; indices, masks, boxes to pool from and grids to sample at do not.
    """
    wiring = draft.wiring
    ahead = [False] * len(wiring.values)
    for node in reversed(wiring.nodes):
        bears = any(s.layer.kind in _MATRIX for s in draft.at_node.get(node.id, []))
        if bears or any(ahead[o] for o in node.outputs):
            sampled = wiring.family(node) == "pool" or node.op == "grid_sample"
            for value in node.inputs[:1] if sampled else node.inputs:
                if value is not None and wiring.is_real(wiring.values[value]):
                    ahead[value] = True
    return ahead


def _linear_role(draft: Draft, layer: Layer, sites: list[Site], origins: Origins, ahead: list[bool]) -> str | None:
    outputs = [s.output for s in sites if s.output is not None]
    on_stream = layer.residual_role not in ("branch_end", "in_branch")
    if outputs and not ahead[outputs[-1]] and on_stream and layer.norm_after is None:
        return "head"
    if layer.layout is not None and layer.layout.batch_axes and any("expert" in b.name for b in layer.blocks):
        return "expert"
    return "stem" if all(_is_first(draft, origins, s) for s in sites) else None


def _is_router(draft: Draft, layer: Layer) -> bool:
    """Whether the scores of a pointwise layer pick what runs next."""
    sites = draft.sites_of(layer)
    if layer.layout is None or layer.weight is None or not sites:
        return False
    rank = len(draft.graph.parameters[layer.weight].shape)
    return not layer.layout.kernel_axes(rank) and _chooses(draft, sites[0])


def _is_first(draft: Draft, origins: Origins, site: Site) -> bool:
    """Whether a layer reads the model's input itself: real numbers, no layer before it."""
    if site.input is None or origins.depth(site.input) > 0 or origins.of(site.input).previous:
        return False
    return not draft.wiring.static[site.input]


def _chooses(draft: Draft, site: Site) -> bool:
    """Whether scores over the layer's own channels pick what runs next (top-k or arg-max, then used)."""
    wiring = draft.wiring
    if site.output is None:
        return False
    shape = wiring.shape(site.output)
    channels = shape[-1] if shape else None

    def choice(node: Node, slot: int) -> bool:
        if node.op not in _CHOICES or slot != 0 or node.inputs[0] is None:
            return False
        own = wiring.shape(node.inputs[0])
        dim = node.attrs.get("dim", -1)
        last = dim in (-1, None) or (own is not None and dim == len(own) - 1)
        return bool(own) and last and own[-1] == channels and any(wiring.readers[o] for o in node.outputs)  # type: ignore[index]

    return reaches(draft, site.output, choice, _SOFT)


def _feed_forward(draft: Draft, origins: Origins) -> None:
    """mlp_in and mlp_out: two pointwise layers with an activation between that make up a residual branch."""
    for layer in draft.graph.layers:
        if layer.kind != "linear" or layer.role is not None or layer.residual_role != "branch_end":
            continue
        if layer.receptive_field != 1 or layer.groups != 1:
            continue
        for site in draft.sites_of(layer):
            origin = origins.of(site.input)
            before = origin.previous
            if not before or not origin.nonlinear or origin.reset:
                continue
            if all(b.kind == "linear" and b.receptive_field == 1 and b.groups == 1 for b in before):
                inside = all(b.attrs.get("residual_block") == layer.attrs.get("residual_block") for b in before)
                if inside and all(b.role in (None, "gate", "gate_up", "mlp_in") for b in before):
                    layer.role = "mlp_out"
                    for b in before:
                        b.role = b.role or "mlp_in"
