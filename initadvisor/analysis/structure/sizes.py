"""Shapes that a graph computes: what is known of a reshape's target where inference left it open."""

from __future__ import annotations

from initadvisor.analysis.structure.wiring import Wiring
from initadvisor.graph import Node, Shape

MAX_DEPTH = 6
MAX_RANK = 16


def target_shape(wiring: Wiring, node: Node) -> Shape | None:
    """The shape of a rearranging node's result, completed by the sizes that feed it."""
    recorded = wiring.shape(node.outputs[0]) if node.outputs else None
    if recorded is not None and None not in recorded:
        return recorded
    computed = _sizes(wiring, node.inputs[1], 0) if len(node.inputs) > 1 else None
    if computed is None or (recorded is not None and len(recorded) != len(computed)):
        return recorded
    if recorded is None:
        return computed
    return tuple(a if a is not None else b for a, b in zip(recorded, computed, strict=True))


def _sizes(wiring: Wiring, value: int | None, depth: int) -> Shape | None:
    """The numbers that a vector of sizes holds, None for the unknown ones; None where even their count is not known."""
    if value is None or depth > MAX_DEPTH:
        return None
    known = wiring.values[value]
    if known.constant is not None and known.constant.size <= MAX_RANK:
        numbers = known.constant.ravel().tolist()
        # -1 ("whatever is left") and 0 ("as before") say nothing by themselves.
        return tuple(int(n) if isinstance(n, int) and n > 0 else None for n in numbers)
    node = wiring.producer(value)
    if node is None or not node.inputs:
        return None
    if node.op == "shape_of" and node.inputs[0] is not None:
        return wiring.shape(node.inputs[0])
    if node.op == "cat":
        parts = [_sizes(wiring, v, depth + 1) for v in node.inputs]
        joined = [n for part in parts if part is not None for n in part]
        return None if None in parts or len(joined) > MAX_RANK else tuple(joined)
    if node.op in ("unsqueeze", "cast", "identity", "reshape"):
        inner = _sizes(wiring, node.inputs[0], depth + 1)
        if inner is not None:
            return inner
    if node.op in ("index_select", "gather") and len(node.inputs) > 1 and node.inputs[1] is not None:
        source = _sizes(wiring, node.inputs[0], depth + 1)
        index = wiring.values[node.inputs[1]].constant
        if (
            source is not None
            and index is not None
            and index.size == 1
            and -len(source) <= int(index.flat[0]) < len(source)
        ):
            return (source[int(index.flat[0])],)
    size = known.size
    return (None,) * size if size is not None and 0 < size <= MAX_RANK else None
