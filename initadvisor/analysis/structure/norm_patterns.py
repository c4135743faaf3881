"""Norms that are written out: mean, difference, square, mean, square root, quotient, in any of their spellings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from initadvisor.analysis.structure.wiring import SAME_PLACES, Wiring
from initadvisor.graph import Node

_KEEPS = SAME_PLACES | {"expand", "unsqueeze", "squeeze", "reshape"}
_SPREADS = frozenset({"var", "std", "var_mean", "std_mean"})
_LENGTHS = frozenset({"vector_norm", "l2_norm"})


@dataclass(frozen=True, slots=True)
class Decomposed:
    """A norm found in pieces: `input` goes in at several of `nodes`, the normalized value comes out of `last`."""

    op: str
    input: int
    last: int
    nodes: frozenset[int]
    eps: float | None


def decomposed_norms(wiring: Wiring) -> Iterator[Decomposed]:
    """Every written-out layer norm, RMS norm, instance norm or l2 normalization of a signal."""
    for node in wiring.nodes:
        if not node.outputs or wiring.static[node.outputs[0]]:
            continue
        found = None
        if _is_root(wiring, node) or node.op in ("std", "std_mean") or node.op in _LENGTHS:
            found = _around(wiring, node)
        if found is not None:
            yield found


def _is_root(wiring: Wiring, node: Node) -> bool:
    """Whether a node takes a square root or its reciprocal."""
    if node.op in ("sqrt", "rsqrt"):
        return True
    return node.op == "pow" and len(node.inputs) > 1 and wiring.scalar(node.inputs[1]) in (0.5, -0.5)


def _around(wiring: Wiring, root: Node) -> Decomposed | None:
    used: set[int] = {root.id}
    eps: float | None = None
    if not root.inputs or root.inputs[0] is None:
        return None
    if root.op in _LENGTHS:
        body, statistic = root.inputs[0], root.op
    elif root.op in ("std", "std_mean"):
        body, statistic = root.inputs[0], "var"
    else:
        value, eps = _without_eps(wiring, root.inputs[0], used)
        found = _spread(wiring, value, used)
        if found is None:
            return None
        body, statistic = found
    if body is None:
        return None
    centre = _centre(wiring, body, used)
    last = _quotient(wiring, root, body, centre, used)
    if last is None:
        return None
    quotient, numerator_centred, late_eps = last
    op = _name(wiring, statistic, centre, numerator_centred, used)
    source = centre if centre is not None else _back(wiring, body, used)
    if op is None or wiring.static[source]:
        return None
    source = _outside(wiring, source, used)
    return Decomposed(op, source, quotient.id, frozenset(used), eps if eps is not None else late_eps)


def _outside(wiring: Wiring, source: int, used: set[int]) -> int:
    """The value behind leading casts that others read as well: those casts are not the norm's own."""
    while True:
        casts = [r for r, _ in wiring.readers[source] if r in used and wiring.nodes[r].op in SAME_PLACES]
        inner = [r for r, _ in wiring.readers[source] if r in used and r not in casts]
        if len(casts) != 1 or inner:
            return source
        cast = wiring.nodes[casts[0]]
        if all(r in used for r, _ in wiring.readers[cast.outputs[0]]):
            return source
        used.discard(cast.id)
        source = cast.outputs[0]


def _name(wiring: Wiring, statistic: str, centre: int | None, numerator_centred: bool, used: set[int]) -> str | None:
    if statistic in _LENGTHS or statistic == "sum":
        return "normalize"
    if centre is None and statistic != "var":
        return "rms_norm"
    axes = None
    for node_id in used:
        node = wiring.nodes[node_id]
        if node.op in ("mean", *_SPREADS):
            dim = node.attrs.get("dim")
            axes = (dim,) if isinstance(dim, int) else dim
            shape = wiring.shape(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
            if isinstance(axes, (tuple, list)) and shape is not None:
                rank = len(shape)
                places = sorted(a % rank for a in axes if isinstance(a, int))
                if rank > 2 and places == list(range(2, rank)) and rank - 1 not in (places[:1] if rank == 3 else []):
                    return "instance_norm"
                if 0 in places and rank > 1:
                    return "batch_norm"
    return "layer_norm"


def _back(wiring: Wiring, value: int, used: set[int] | None = None) -> int:
    """The value before casts and copies."""
    while (node := wiring.producer(value)) is not None and node.op in SAME_PLACES and node.inputs[0] is not None:
        if used is not None:
            used.add(node.id)
        value = node.inputs[0]
    return value


def _without_eps(wiring: Wiring, value: int, used: set[int]) -> tuple[int, float | None]:
    value = _back(wiring, value, used)
    node = wiring.producer(value)
    if node is not None and node.op in ("add", "reversed_add", "clamp", "maximum", "variadic_max"):
        numbers = [wiring.scalar(v) for v in node.inputs if v is not None]
        signal = wiring.signals(node)
        if len(signal) == 1:
            used.add(node.id)
            eps = next((n for n in numbers if n is not None), node.attrs.get("min"))
            return _back(wiring, signal[0], used), float(eps) if isinstance(eps, (int, float)) else None
    return value, None


def _spread(wiring: Wiring, value: int, used: set[int]) -> tuple[int, str] | None:
    """(x, kind) where a value is the variance or mean square (or sum of squares) of x."""
    node = wiring.producer(value)
    if node is None or not node.inputs or node.inputs[0] is None:
        return None
    if node.op in ("var", "var_mean"):
        used.add(node.id)
        return node.inputs[0], "var"
    if node.op in ("mean", "sum"):
        squared = wiring.producer(_back(wiring, node.inputs[0]))
        if squared is None:
            return None
        base = squared.inputs[0]
        is_square = (
            squared.op == "square"
            or (squared.op == "pow" and len(squared.inputs) > 1 and wiring.scalar(squared.inputs[1]) == 2)
            or (squared.op == "mul" and _is_square(wiring, squared, used))
        )
        if is_square and base is not None:
            _back(wiring, node.inputs[0], used)
            used.update((node.id, squared.id))
            return base, node.op
    if node.op == "square_sum":
        used.add(node.id)
        return node.inputs[0], "sum"
    return None


def _is_square(wiring: Wiring, node: Node, used: set[int]) -> bool:
    """Whether a product multiplies a value by itself, or x - mean(x) by another copy of it."""
    first, second = (*node.inputs, None, None)[:2]
    if first is None or second is None:
        return False
    if first == second:
        return True
    local: set[int] = set()
    centres = {_centre(wiring, first, local), _centre(wiring, second, local)}
    if len(centres) == 1 and None not in centres:
        used.update(local)
        return True
    return False


def _centre(wiring: Wiring, value: int, used: set[int]) -> int | None:
    """x where a value is x - mean(x), else None."""
    node = wiring.producer(_back(wiring, value))
    if node is None or node.op != "sub" or len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
        return None
    mean = wiring.producer(_back(wiring, node.inputs[1]))
    if mean is None or mean.op not in ("mean", "var_mean", "std_mean") or mean.inputs[0] is None:
        return None
    if _back(wiring, mean.inputs[0]) != _back(wiring, node.inputs[0]):
        return None
    _back(wiring, value, used)
    _back(wiring, node.inputs[1], used)
    used.update((node.id, mean.id))
    return _back(wiring, node.inputs[0], used)


def _quotient(
    wiring: Wiring, root: Node, body: int, centre: int | None, used: set[int]
) -> tuple[Node, bool, float | None] | None:
    """The node that divides the body by the root, whether what it divides is centred, and an eps found on the way."""
    value, inverse = root.outputs[0], root.op == "rsqrt" or (root.op == "pow" and wiring.scalar(root.inputs[1]) == -0.5)
    wanted = {_back(wiring, body)} | ({centre} if centre is not None else set())
    eps: float | None = None
    for _ in range(6):
        for reader, _slot in wiring.readers[value]:
            node = wiring.nodes[reader]
            if len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
                continue
            if node.op == "div" and not inverse and node.inputs[1] == value:
                numerator = node.inputs[0]
            elif node.op in ("mul", "reversed_mul") and inverse:
                numerator = node.inputs[0] if node.inputs[1] == value else node.inputs[1]
            else:
                continue
            same = _back(wiring, numerator) in wanted
            local: set[int] = set()
            centred = _centre(wiring, numerator, local)
            if same or (centred is not None and centred in wanted):
                used.update(local)
                used.add(node.id)
                _back(wiring, numerator, used)
                return node, centred is not None, eps
        step = _onward(wiring, value, inverse)
        if step is None:
            return None
        node, inverse, found = step
        eps = found if found is not None else eps
        used.add(node.id)
        value = node.outputs[0]
    return None


def _onward(wiring: Wiring, value: int, inverse: bool) -> tuple[Node, bool, float | None] | None:
    """One step from the root towards the quotient: a cast, an expansion, "+ eps", or a reciprocal."""
    for reader, _slot in wiring.readers[value]:
        node = wiring.nodes[reader]
        if node.op in _KEEPS:
            return node, inverse, None
        if node.op in ("add", "reversed_add", "clamp", "maximum") and len(wiring.signals(node)) == 1:
            eps = next((n for v in node.inputs if (n := wiring.scalar(v)) is not None), node.attrs.get("min"))
            return node, inverse, float(eps) if isinstance(eps, (int, float)) else None
        if node.op == "reciprocal":
            return node, not inverse, None
        dividing = node.op in ("div", "reversed_div") and len(wiring.signals(node)) == 1
        if dividing and wiring.slot(node, "other") == value:
            return node, not inverse, None
    return None
