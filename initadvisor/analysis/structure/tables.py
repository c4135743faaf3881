"""Roles of scales, tables and embeddings: by what they are added to, what they multiply, what indexes them."""

from __future__ import annotations

from initadvisor.analysis.structure.attention import Attention
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.reach import reaches
from initadvisor.graph import Layer, Node

_FUSED = frozenset({"scaled_dot_product_attention", "multi_head_attention", "fused_attention"})
_SOFT = frozenset({"softmax", "log_softmax"})


def table_roles(draft: Draft, attentions: list[Attention]) -> None:
    """Fill `Layer.role` of everything that is neither a weight matrix nor a norm."""
    inner = frozenset(n for attention in attentions for n in attention.nodes)
    for layer in draft.graph.layers:
        sites = draft.sites_of(layer)
        if not sites:
            continue
        if layer.kind == "scale" and layer.role is None:
            layer.role = _scale_role(draft, layer, sites)
        elif layer.kind == "table" and layer.role in ("position", "bias"):
            if _is_added_to_scores(draft, sites[0], inner):
                layer.role = "relative_position"
        elif layer.kind == "embedding" and layer.role is None:
            layer.role = _embedding_role(draft, sites[0])


def _scale_role(draft: Draft, layer: Layer, sites: list[Site]) -> str | None:
    """layer_scale (a vector at the end of a branch), skip_gain (one number there), logit_scale (before a softmax or
    an output)."""
    size = draft.graph.parameters[layer.weight].size if layer.weight else 0
    if layer.residual_role == "branch_end":
        return "layer_scale" if size > 1 else "skip_gain"

    def scores(node: Node, slot: int) -> bool:
        return (
            node.op in _SOFT
            or (node.op in _FUSED and slot != 2)
            or any(output in draft.wiring.outputs for output in node.outputs)
        )

    outputs = [s.output for s in sites if s.output is not None]
    if any(o in draft.wiring.outputs or reaches(draft, o, scores, frozenset({"matmul"})) for o in outputs):
        return "logit_scale"
    return None


def _is_added_to_scores(draft: Draft, site: Site, inner: frozenset[int]) -> bool:
    """Whether a table becomes part of the argument of an attention's softmax."""

    def scores(node: Node, slot: int) -> bool:
        return (node.id in inner and node.op == "softmax") or (node.op in _FUSED and slot == 3)

    return site.output is not None and reaches(draft, site.output, scores)


def _embedding_role(draft: Draft, site: Site) -> str:
    """position where the indices are known without the input, relative_position where it ends in scores, else token."""
    wiring = draft.wiring
    node = wiring.nodes[site.node]
    index = next((v for name in ("indices", "index") if (v := wiring.slot(node, name)) is not None), None)
    if index is None:
        index = next((v for v in node.inputs[1:] if v is not None), None)
    if site.output is not None and reaches(draft, site.output, _biases_scores):
        return "relative_position"
    if index is not None and (wiring.static[index] or _counts(draft, index)):
        return "position"
    return "token"


def _biases_scores(node: Node, slot: int) -> bool:
    return node.op == "softmax" or (node.op in _FUSED and slot == 3)


def _counts(draft: Draft, value: int) -> bool:
    """Whether indices come from counting places (a range, a running sum of a mask) rather than from tokens."""
    wiring = draft.wiring
    for _ in range(12):
        node = wiring.producer(value)
        if node is None:
            return False
        if node.op in ("arange", "cumsum", "shape_of"):
            return True
        before = [v for v in node.inputs if v is not None and wiring.values[v].kind != "constant"]
        if not before:
            return False
        value = before[0]
    return False
