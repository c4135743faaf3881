"""Whether a value flows into an operator of some kind with nothing but arithmetic and rearrangement between."""

from __future__ import annotations

from collections.abc import Callable

from initadvisor.analysis.structure.draft import Draft
from initadvisor.graph import Node

MAX_STEPS = 48
"""Operators looked at on the way."""

_ARITHMETIC = frozenset({"add", "reversed_add", "mul", "reversed_mul", "div", "masked_fill", "where", "sub", "neg"})


def reaches(draft: Draft, value: int, hit: Callable[[Node, int], bool], through: frozenset[str] = frozenset()) -> bool:
    """Whether a reader for which `hit(node, slot)` holds is met before a layer with a weight matrix.

    through: further operators that may lie on the way.
    """
    wiring = draft.wiring
    queue, seen = [value], set[int]()
    while queue and len(seen) < MAX_STEPS:
        for reader, slot in wiring.readers[queue.pop(0)]:
            node = wiring.nodes[reader]
            if reader in seen:
                continue
            if hit(node, slot):
                return True
            seen.add(reader)
            weighted = any(site.layer.kind == "linear" for site in draft.at_node.get(reader, []))
            passes = wiring.transparent(node) or node.op in _ARITHMETIC or node.op in through
            if passes and (not weighted or reader in draft.bias_nodes) and reader not in draft.norm_at:
                queue.extend(node.outputs)
    return False
