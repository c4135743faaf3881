"""Which operators leave a signal linear, so that nothing happens between two layers."""

from __future__ import annotations

from initadvisor.analysis.structure.draft import Draft
from initadvisor.graph import Node

_LINEAR = frozenset(
    {
        "add", "reversed_add", "sub", "reversed_sub", "neg", "positive", "variadic_sum", "variadic_mean", "lerp",
        "mean", "sum", "cumsum", "avg_pool", "adaptive_avg_pool", "global_avg_pool", "global_average_pool",
        "interpolate", "pad", "unfold", "fold", "cat", "stack", "roll", "scatter_add", "index_add", "setitem",
        "index_put", "scatter", "copy", "masked_fill", "where", "tril", "triu", "trilu", "nan_to_num", "grid_sample",
    }
)  # fmt: skip
_SCALING = frozenset({"mul", "reversed_mul", "div", "addcmul"})


def is_linear(draft: Draft, node: Node) -> bool:
    """Whether a node is linear in its signal (a norm counts: it only rescales; so does max pooling)."""
    wiring = draft.wiring
    if node.id in draft.norm_at or node.id in draft.at_node:
        return not any(site.layer.role == "activation_slope" for site in draft.at_node.get(node.id, ()))
    if wiring.transparent(node) or node.op in _LINEAR or wiring.family(node) == "pool":
        return True
    if node.op in _SCALING:
        return len(wiring.signals(node)) <= 1 and (node.op != "div" or node.inputs[0] in wiring.signals(node))
    if wiring.family(node) == "weighted":
        return len(wiring.signals(node)) <= 1
    return wiring.family(node) == "norm"
