"""What the structure says of the whole model."""

from __future__ import annotations

from initadvisor.analysis.structure.attention import Attention
from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.residual import Addition
from initadvisor.analysis.structure.wiring import SAME_PLACES

_SQUASHING = frozenset({"softmax", "log_softmax", "sigmoid", "tanh", "hardsigmoid", "softmin", "logsigmoid"})
_PASSES = frozenset({"mul", "div", "add", "sub", "reversed_sub", "clamp"})


def read_summary(draft: Draft, additions: dict[int, Addition], attentions: list[Attention]) -> None:
    """Fill `Graph.summary`: residual adds, attentions, output activation, unused parameters, residual blocks."""
    graph = draft.graph
    residual = [a for a in additions.values() if a.kind == "residual"]
    graph.summary = {
        "residual_adds": len(residual),
        "unknown_adds": sum(a.kind == "unknown" for a in additions.values()),
        "attentions": len(attentions) + sum(n.op.endswith("multi_head_attention") for n in graph.nodes),
        "output_activation": output_activation(draft),
        "unused": tuple(sorted(_unused(draft))),
        "blocks": tuple(_block(draft, a) for a in residual),
        "depth": max((layer.depth or 0 for layer in graph.layers), default=0),
    }


def output_activation(draft: Draft) -> str:
    """The squashing function that makes the model's first real output, "" where there is none."""
    wiring = draft.wiring
    for output in draft.graph.outputs:
        if not wiring.is_real(wiring.values[output]):
            continue
        value = output
        for _ in range(6):
            node = wiring.producer(value)
            if node is None or not node.inputs or node.inputs[0] is None:
                break
            if node.op in _SQUASHING:
                return node.op
            if not wiring.transparent(node) and node.op not in ("cast",):
                break
            value = node.inputs[0]
        break
    return ""


def _unused(draft: Draft) -> set[str]:
    read = {v.parameter for v in draft.wiring.values if v.parameter is not None and draft.wiring.readers[v.id]}
    return {n for n, p in draft.graph.parameters.items() if n not in read and p.is_float and not p.buffer}


def _block(draft: Draft, addition: Addition) -> dict[str, object]:
    """One residual add: the layers that end its branches, the norms in them, whether a norm follows the add."""
    inside = [s.layer for n in addition.inside for s in draft.at_node.get(n, [])]
    norms = tuple(dict.fromkeys(layer.name for layer in inside if layer.kind == "norm"))
    after = _readers(draft, addition.node.outputs[0])
    post_norm = bool(after) and all(r in draft.norm_at for r in after)
    weights = [layer.name for layer in dict.fromkeys(inside) if layer.kind in ("linear", "recurrent")]
    return {
        "node": addition.node.id,
        "ends": tuple(layer.name for layer in addition.ends),
        "norms": norms,
        "post_norm": post_norm,
        "layers": tuple(weights),
        "scales": tuple(dict.fromkeys(x.name for x in inside if x.kind == "scale")),
    }


def _readers(draft: Draft, value: int) -> list[int]:
    """The nodes that read a value, behind casts and copies."""
    found: list[int] = []
    for reader, _ in draft.wiring.readers[value]:
        node = draft.wiring.nodes[reader]
        if node.op in SAME_PLACES and reader not in draft.norm_at:
            found.extend(r for output in node.outputs for r in _readers(draft, output))
        else:
            found.append(reader)
    return found
