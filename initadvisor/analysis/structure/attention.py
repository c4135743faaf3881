"""Attention: which layers make queries, keys and values, as one operator or as softmax between two products."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from initadvisor.analysis.structure.axes import View
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.residual import Addition
from initadvisor.analysis.structure.tracking import channel_mask, channels_after, runs
from initadvisor.graph import Block, Layer, Node

MAX_STEPS = 96
"""Values looked at between an attention operator and the layers around it."""

MAX_RUNS = 1024

_FUSED = frozenset({"scaled_dot_product_attention", "fused_attention", "grouped_query_attention"})
_PRODUCTS = frozenset({"matmul", "reversed_matmul", "einsum", "addmm"})
_SCORE_STEPS = frozenset(
    {
        "add", "reversed_add", "sub", "mul", "reversed_mul", "div", "masked_fill", "where", "clamp", "tanh", "maximum",
        "neg", "setitem", "nan_to_num", "dropout", "pad", "cat",
    }
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Attention:
    """One attention: the values that act as query, key and value, its result, and the nodes between."""

    query: int
    key: int
    value: int
    output: int
    nodes: tuple[int, ...]


def find_attention(draft: Draft) -> Iterator[Attention]:
    """Every attention whose parts are separate values."""
    wiring = draft.wiring
    for node in wiring.nodes:
        if node.op in _FUSED:
            parts = [wiring.slot(node, name) for name in ("query", "key", "value")]
            query, key, value = (p if p is not None else parts[0] for p in parts)
            if query is not None and key is not None and value is not None and node.outputs:
                yield Attention(query, key, value, node.outputs[0], (node.id,))
        elif node.op == "softmax" and node.outputs:
            found = _around_softmax(draft, node)
            if found is not None:
                yield found


def _around_softmax(draft: Draft, softmax: Node) -> Attention | None:
    wiring = draft.wiring
    if not softmax.inputs or softmax.inputs[0] is None:
        return None
    scores = _back_to_product(draft, softmax.inputs[0])
    mixed = _on_to_product(draft, softmax.outputs[0])
    if scores is None or mixed is None:
        return None
    product, weights = mixed
    left, right = _operands(draft, scores)
    others = [v for v in _operands(draft, product) if v != weights]
    if left is None or right is None or not others or others[0] is None:
        return None
    if wiring.nodes[scores.id].id in draft.at_node or product.id in draft.at_node:
        return None
    return Attention(left, right, others[0], product.outputs[0], (scores.id, softmax.id, product.id))


def _operands(draft: Draft, node: Node) -> tuple[int | None, int | None]:
    if node.op in ("matmul", "reversed_matmul", "addmm"):
        return draft.wiring.slot(node, "left"), draft.wiring.slot(node, "right")
    signals = draft.wiring.signals(node)
    return (signals[0], signals[1]) if len(signals) == 2 else (None, None)


def _back_to_product(draft: Draft, value: int) -> Node | None:
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        current = stack.pop(0)
        node = wiring.producer(current)
        if node is None or node.id in seen:
            continue
        seen.add(node.id)
        if node.op in _PRODUCTS and node.id not in draft.at_node:
            return node
        if node.op in _SCORE_STEPS or wiring.transparent(node):
            stack.extend(v for v in wiring.signals(node))
    return None


def _on_to_product(draft: Draft, value: int) -> tuple[Node, int] | None:
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        current = stack.pop(0)
        for reader, _slot in wiring.readers[current]:
            node = wiring.nodes[reader]
            if node.op in _PRODUCTS and node.id not in draft.at_node:
                return node, current
            if node.id not in seen and (node.op in _SCORE_STEPS or wiring.transparent(node)):
                seen.add(node.id)
                stack.extend(node.outputs)
    return None


def read_attention(draft: Draft, additions: dict[int, Addition]) -> list[Attention]:
    """Set the roles q, k, v, qkv, kv and attention_out, and the q/k/v blocks of fused projections."""
    found = list(find_attention(draft))
    tracked: dict[int, dict[int, View]] = {}
    parts: dict[int, dict[str, np.ndarray | None]] = {}
    layers: dict[int, Layer] = {}
    for attention in found:
        for letter, value in (("q", attention.query), ("k", attention.key), ("v", attention.value)):
            for site, mask in _projections(draft, additions, value, tracked):
                layers[id(site.layer)] = site.layer
                own = parts.setdefault(id(site.layer), {})
                before = own.get(letter)
                own[letter] = mask if before is None or mask is None else before | mask
        _mark_output(draft, additions, attention.output)
    for key, letters in parts.items():
        _set_role(draft, layers[key], letters)
    return found


def _projections(
    draft: Draft, additions: dict[int, Addition], value: int, tracked: dict[int, dict[int, View]]
) -> list[tuple[Site, np.ndarray | None]]:
    """The layers that a query, key or value comes from, each with the output channels that reach it."""
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    found: dict[int, tuple[Site, np.ndarray | None]] = {}
    while stack and len(seen) < MAX_STEPS:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        node = wiring.producer(current)
        if node is None:
            continue
        sites = [s for s in draft.at_node.get(node.id, []) if s.layer.kind == "linear" and s.output is not None]
        if node.id in draft.bias_nodes:
            stack.extend(wiring.signals(node))
            continue
        if sites:
            found[id(sites[-1])] = (sites[-1], None)
            continue
        addition = additions.get(node.id)
        if (addition is not None and addition.kind == "residual") or wiring.family(node) in ("recurrent", "embedding"):
            continue
        if wiring.family(node) in ("attention",) and node.op not in ("rotary_embedding", "microsoft_rotary_embedding"):
            continue
        norm = draft.norm_at.get(node.id)
        if norm is not None and current == norm.output:
            stack.append(norm.input)
            continue
        stack.extend(v for v in wiring.signals(node) if wiring.is_real(wiring.values[v]))
    out = []
    for site, _ in found.values():
        if site.node not in tracked:
            tracked[site.node] = channels_after(draft, site)
        out.append((site, _mask(draft, site, value, seen, tracked[site.node])))
    return out


def _mask(draft: Draft, site: Site, value: int, touched: set[int], views: dict[int, View]) -> np.ndarray | None:
    """The output channels of a layer that flow on towards a value; None where they cannot be told.

    They are those of the last values on each way that still are plain parts of the layer's output.
    """
    wiring = draft.wiring
    whole = _width(site.layer, draft)
    start, stop = site.region or (0, whole)
    union = np.zeros(whole, dtype=bool)
    for part in touched:
        view = views.get(part)
        if view is None:
            continue
        onward = (out for reader, _ in wiring.readers[part] for out in wiring.nodes[reader].outputs)
        if part != value and not any(out in touched and out not in views for out in onward):
            continue
        mask = channel_mask(view, stop - start)
        if mask is None:
            return None
        union[start:stop] |= mask
    if not union.any():
        union[start:stop] = True
    return union


def _width(layer: Layer, draft: Draft) -> int:
    if layer.layout is None or layer.weight is None:
        return 0
    return layer.layout.channels_out(draft.graph.parameters[layer.weight].shape)


def _mark_output(draft: Draft, additions: dict[int, Addition], value: int) -> None:
    """Name the projection that reads an attention's result."""
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        current = stack.pop(0)
        for reader, _slot in wiring.readers[current]:
            if reader in seen:
                continue
            seen.add(reader)
            node = wiring.nodes[reader]
            sites = [s for s in draft.at_node.get(reader, []) if s.layer.kind == "linear" and s.output is not None]
            if sites:
                for site in sites:
                    if site.layer.role is None:
                        site.layer.role = "attention_out"
                continue
            addition = additions.get(reader)
            if addition is not None and addition.kind == "residual":
                continue
            if wiring.family(node) in ("shape", "select", "elementwise", "activation", "random", "norm", "reduce"):
                stack.extend(node.outputs)


def _set_role(draft: Draft, layer: Layer, letters: dict[str, np.ndarray | None]) -> None:
    """The role of a projection by the parts of attention that it feeds."""
    role = "".join(sorted(letters, key="qkv".index))
    if layer.role is None or layer.role == "attention_out":
        layer.role = role
    if len(letters) < 2 or layer.layout is None or layer.weight is None or len(layer.layout.out_axes) != 1:
        return
    masks = {k: m for k, m in letters.items() if m is not None}
    if (
        len(masks) != len(letters)
        or sum(int(m.sum()) for m in masks.values()) > np.logical_or.reduce([*masks.values()]).sum()
    ):
        return
    axis, fan_in = layer.layout.out_axes[0], layer.fan_in
    if fan_in is None:
        return
    blocks = [
        Block(name, axis, start, stop, fan_in, float(mask.sum()))
        for name, mask in masks.items()
        for start, stop in runs(mask)
    ]
    if len(blocks) <= MAX_RUNS:
        layer.blocks = tuple(sorted(blocks, key=lambda b: b.start))
        layer.fan_out = max(b.fan_out for b in blocks)
