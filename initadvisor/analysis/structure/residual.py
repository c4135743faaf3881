"""Residual adds: which operand is the stream, which the branch, and what each branch ends in.

An add is residual where one operand reaches a common ancestor without weights or non-linearity (the skip, perhaps
through one projection) and another reaches it through weights (the branch). Ancestors are searched backwards in
execution order from both operands; a residual add that is already known is crossed in one step, so that the search
costs no more than the block it lies in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

from initadvisor.analysis.structure.biases import ADDS
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.linearity import is_linear
from initadvisor.graph import Layer, Node

STEPS_PER_NODE = 64
"""Search steps allowed for each node of the graph, all adds together: real models need fewer than 4."""

MAX_OPERANDS = 16

_SLICES = frozenset({"slice", "select", "getitem", "split", "chunk", "unbind", "narrow", "index_select"})


@dataclass(slots=True, eq=False)
class Addition:
    """An add of signals. `source` is the common ancestor, `skip` and `branches` its operands by their part."""

    node: Node
    kind: Literal["residual", "lora", "merge", "unknown"]
    source: int | None = None
    skip: tuple[int, ...] = ()
    branches: tuple[int, ...] = ()
    inside: frozenset[int] = frozenset()
    ends: list[Layer] = field(default_factory=list)


@dataclass(slots=True)
class _Path:
    """What lies between the common ancestor and one operand.

    layers: those with a weight matrix. crossed: inner residual blocks lie there. normed: a norm does.
    """

    operand: int
    nodes: set[int]
    layers: list[Layer]
    linear: bool
    resized: bool
    crossed: bool
    sliced: bool
    normed: bool


def read_additions(draft: Draft) -> dict[int, Addition]:
    """Classify every add of two or more signals, by node, and set the residual roles of layers and norms."""
    found: dict[int, Addition] = {}
    budget = [STEPS_PER_NODE * len(draft.wiring.nodes) + 1000]
    for node in draft.wiring.nodes:
        if node.op not in ADDS and node.op != "variadic_sum" and node.op != "sub":
            continue
        operands = [v for v in dict.fromkeys(node.inputs) if v is not None and not draft.wiring.static[v]]
        if node.id in draft.norm_at or not 2 <= len(operands) <= MAX_OPERANDS or not node.outputs:
            continue
        if not draft.wiring.is_real(draft.wiring.values[node.outputs[0]]):
            continue
        addition = _classify(draft, node, operands, found, budget)
        if node.op != "sub":
            found[node.id] = addition
    _set_roles(draft, found)
    return found


def _classify(draft: Draft, node: Node, operands: list[int], known: dict[int, Addition], budget: list[int]) -> Addition:
    source, visited = _meet(draft, operands, known, budget)
    if source is None:
        return Addition(node, "unknown" if budget[0] <= 0 else "merge")
    paths = [_path(draft, operand, source, seen, known) for operand, seen in zip(operands, visited, strict=True)]
    plain = [p for p in paths if not p.layers and p.linear]
    skips = [p for p in plain if not p.crossed] or plain
    branches = [p for p in paths if p not in skips and (p.layers or p.crossed)]
    identity = [p for p in paths if p.operand == source]
    if identity and not branches:
        # A branch without a weight matrix (pooling as a token mixer) still is one if it is normalized.
        skips, branches = identity, [p for p in paths if p.operand != source and p.normed]
    if skips and branches:
        if all(p.sliced for p in skips) and all(_is_shared(draft, p) for p in branches):
            return Addition(node, "merge", source)  # an unrolled recurrence: each step adds its own slice of the input
        return _residual(node, source, skips, branches)
    weighted = [p for p in paths if p.layers]
    if len(paths) == 2 and len(weighted) == 2:
        short, long = sorted(paths, key=lambda p: (not p.linear, len(p.layers), len(p.nodes)))
        shared = {id(a) for a in short.layers} & {id(b) for b in long.layers}
        if short.linear and len(short.layers) == 1 and not shared:
            if long.linear and _is_low_rank(draft, short, long):
                return Addition(node, "lora", source, (short.operand,), (long.operand,), frozenset(long.nodes))
            if (not long.linear or len(long.layers) > 1) and not (short.resized or long.resized):
                return _residual(node, source, [short], [long])
    return Addition(node, "merge", source)


def _is_shared(draft: Draft, path: _Path) -> bool:
    """Whether every layer on a path is applied more than once."""
    return bool(path.layers) and all(len(draft.sites_of(layer)) > 1 for layer in path.layers)


def _residual(node: Node, source: int, skips: list[_Path], branches: list[_Path]) -> Addition:
    inside = frozenset().union(*(p.nodes for p in branches))
    return Addition(
        node,
        "residual",
        source,
        tuple(p.operand for p in skips),
        tuple(p.operand for p in branches),
        inside,
    )


def _is_low_rank(draft: Draft, base: _Path, pair: _Path) -> bool:
    """Whether two stacked linear layers beside one squeeze through fewer channels than it has."""
    if len(pair.layers) != 2 or any(layer.kind != "linear" for layer in (*pair.layers, *base.layers)):
        return False
    down, up = pair.layers
    if down.layout is None or up.layout is None or down.weight is None or up.weight is None:
        return False
    rank = down.layout.channels_out(draft.graph.parameters[down.weight].shape)
    wide = down.layout.channels_in(draft.graph.parameters[down.weight].shape)
    out = up.layout.channels_out(draft.graph.parameters[up.weight].shape)
    low = rank < min(wide, out)
    if low:
        down.role, up.role = "lora_a", "lora_b"
        down.attrs["adapts"] = up.attrs["adapts"] = base.layers[0].name
    return low


def _order(draft: Draft, value: int) -> int:
    producer = draft.wiring.values[value].producer
    return -1 if producer is None else producer


def _meet(
    draft: Draft, operands: list[int], known: dict[int, Addition], budget: list[int]
) -> tuple[int | None, list[dict[int, None]]]:
    """The nearest value that two operands descend from, and the nodes seen on the way from each."""
    wiring = draft.wiring
    masks: dict[int, int] = {}
    visited: list[dict[int, None]] = [{} for _ in operands]
    heap: list[tuple[int, int]] = []
    for i, operand in enumerate(operands):
        masks[operand] = masks.get(operand, 0) | 1 << i
        heappush(heap, (-_order(draft, operand), operand))
    done: set[int] = set()
    while heap and budget[0] > 0:
        _, value = heappop(heap)
        if value in done:
            continue
        done.add(value)
        budget[0] -= 1
        mask = masks[value]
        if mask & (mask - 1):
            return value, visited
        node = wiring.producer(value)
        if node is None:
            continue
        for i in range(len(operands)):
            if mask >> i & 1:
                visited[i][node.id] = None
        for before in _inputs(draft, node, value, known):
            if before not in done:
                masks[before] = masks.get(before, 0) | mask
                heappush(heap, (-_order(draft, before), before))
    return None, visited


def _inputs(draft: Draft, node: Node, value: int, known: dict[int, Addition]) -> list[int]:
    """The signals that a node reads; a norm and a known residual add are crossed in one step."""
    addition = known.get(node.id)
    if addition is not None and addition.kind == "residual" and addition.source is not None:
        return [addition.source]
    norm = draft.norm_at.get(node.id)
    if norm is not None and value == norm.output:
        return [norm.input]
    wiring = draft.wiring
    return [v for v in node.inputs if v is not None and not wiring.static[v] and wiring.is_real(wiring.values[v])]


def _path(draft: Draft, operand: int, source: int, seen: dict[int, None], known: dict[int, Addition]) -> _Path:
    """Keep of the nodes seen from an operand those that descend from the source, in execution order."""
    wiring = draft.wiring
    reached = {source}
    nodes: set[int] = set()
    layers: list[Layer] = []
    linear, resized, crossed, sliced, normed = True, False, False, False, False
    for node_id in sorted(seen):
        node = wiring.nodes[node_id]
        befores: set[int] = set()
        outputs = node.outputs
        addition = known.get(node_id)
        norm = draft.norm_at.get(node_id)
        if addition is not None and addition.kind == "residual" and addition.source is not None:
            befores = {addition.source}
        elif norm is not None:
            befores, outputs = {norm.input}, (*node.outputs, norm.output)
        else:
            befores = {v for v in node.inputs if v is not None}
        if not befores & reached:
            continue
        reached.update(outputs)
        nodes.add(node_id)
        if norm is not None:
            nodes.update(norm.nodes)
        for site in draft.at_node.get(node_id, []):
            if site.layer.kind in ("linear", "recurrent", "embedding") and site.layer not in layers:
                layers.append(site.layer)
        normed = normed or norm is not None
        resized = resized or node.op == "interpolate"
        sliced = sliced or node.op in _SLICES
        crossed = crossed or (addition is not None and addition.kind == "residual")
        linear = linear and is_linear(draft, node)
    return _Path(operand, nodes, layers, linear, resized, crossed, sliced, normed)


def _set_roles(draft: Draft, found: dict[int, Addition]) -> None:
    residuals = [a for a in found.values() if a.kind == "residual"]
    if not residuals:
        return
    for index, addition in enumerate(residuals):
        for operand in addition.branches:
            _mark_ends(draft, found, addition, operand)
        for node_id in addition.inside:
            for site in draft.at_node.get(node_id, []):
                _mark(site.layer, "in_branch", index)
        for layer in addition.ends:
            _mark(layer, "branch_end", index)
    for layer in draft.graph.layers:
        if layer.residual_role is None and layer.kind != "table":
            layer.residual_role = "trunk"


def _mark(layer: Layer, role: Literal["branch_end", "in_branch"], index: int) -> None:
    """Set a role; the innermost block comes first, and an end stays an end."""
    if layer.residual_role is None or (role == "branch_end" and layer.residual_role != "branch_end"):
        layer.residual_role = role
    layer.attrs.setdefault("residual_block", index)


def _mark_ends(draft: Draft, found: dict[int, Addition], addition: Addition, operand: int) -> None:
    """Walk back from a branch operand to the last weight, collecting the norm and the scales behind it."""
    stack, seen = [operand], set[int]()
    while stack:
        value = stack.pop()
        if value in seen or value == addition.source:
            continue
        seen.add(value)
        node = draft.wiring.producer(value)
        if node is None or node.id not in addition.inside:
            continue
        inner = found.get(node.id)
        if inner is not None and inner.kind == "residual":
            continue
        norm = draft.norm_at.get(node.id)
        if norm is not None:
            if norm.layer is not None and norm.layer not in addition.ends:
                addition.ends.append(norm.layer)
            stack.append(norm.input)
            continue
        sites = [s for s in draft.at_node.get(node.id, []) if s.output is not None]
        for site in sites:
            if site.layer not in addition.ends:
                addition.ends.append(site.layer)
        if any(s.layer.kind in ("linear", "recurrent", "embedding") for s in sites):
            continue
        stack.extend(main_operands(draft, node, sites))


def main_operands(draft: Draft, node: Node, sites: list[Site] | tuple[()] = ()) -> list[int]:
    """The inputs that carry the signal itself: not a gate, a mask or the queries and keys of attention."""
    wiring = draft.wiring
    scaled = [s.input for s in sites if s.input is not None]
    if scaled:
        return scaled
    if wiring.family(node) == "attention" and (value := wiring.slot(node, "value")) is not None:
        return [value]
    signals = [v for v in wiring.signals(node) if wiring.is_real(wiring.values[v])]
    if wiring.family(node) == "pool" or node.op == "grid_sample":
        return signals[:1]  # boxes and sampling grids say where to look, not what is seen
    if node.op in ("mul", "reversed_mul") and len(signals) == 2:
        sizes = [wiring.values[v].size for v in signals]
        if None not in sizes and sizes[0] != sizes[1]:
            return [signals[0 if sizes[0] > sizes[1] else 1]]  # type: ignore[operator]
        gates = [(p := wiring.producer(v)) is not None and p.op in _GATES for v in signals]
        if gates[0] != gates[1]:
            return [signals[1 if gates[0] else 0]]
    if node.op in ("matmul", "einsum") and len(signals) == 2:
        return signals[-1:]
    return signals


_GATES = frozenset({"sigmoid", "hardsigmoid", "softmax", "tanh", "expand"})
