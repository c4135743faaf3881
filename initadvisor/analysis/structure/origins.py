"""Where each value comes from: the layers before it, the norm, whether anything non-linear lies between; depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.linearity import is_linear
from initadvisor.analysis.structure.residual import Addition, main_operands
from initadvisor.graph import Layer, Node

MAX_PREVIOUS = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a value, back to the nearest layers with a weight matrix.

    previous: those layers. norm: the nearest norm after them. nonlinear: whether a non-linearity lies after the norm
    (after the layers where there is no norm), behind_norm: whether one lies between the layers and the norm.
    reset: a residual add, attention or concatenated skip lies between, so that the value is not theirs alone.
    product: two signals were multiplied in between.
    """

    previous: tuple[Layer, ...] = ()
    norm: Layer | None = None
    nonlinear: bool = False
    behind_norm: bool = False
    reset: str = ""
    product: bool = False


_NOTHING = Origin()


class Origins:
    """The origin and the depth of every signal value, found in one pass in execution order."""

    def __init__(self, draft: Draft, additions: dict[int, Addition]) -> None:
        self.draft = draft
        self.additions = additions
        self._origin: dict[int, Origin] = {}
        self._depth: dict[int, int] = {}
        for node in draft.wiring.nodes:
            self._step(node)

    def of(self, value: int | None) -> Origin:
        """The origin of a value; empty for an input."""
        return _NOTHING if value is None else self._origin.get(value, _NOTHING)

    def depth(self, value: int | None) -> int:
        """The number of weighted layers on the longest path from an input to a value."""
        return 0 if value is None else self._depth.get(value, 0)

    def _step(self, node: Node) -> None:
        wiring = self.draft.wiring
        if not node.outputs or wiring.static[node.outputs[0]]:
            return
        depth = max((self.depth(v) for v in node.inputs if v is not None), default=0)
        sites = self.draft.at_node.get(node.id, [])
        weighted = [s for s in sites if s.layer.kind in ("linear", "embedding", "recurrent")]
        if weighted:
            origin = Origin(tuple(dict.fromkeys(s.layer for s in weighted if s.output is not None)))
            if not origin.previous:
                origin = Origin(tuple(s.layer for s in weighted[-1:]))
            depth += _levels(weighted)
        else:
            origin = self._through(node, sites)
        norm = self.draft.norm_at.get(node.id)
        for output in node.outputs:
            self._depth[output] = depth
            if norm is not None and output == norm.output:
                before = self.of(norm.input)
                self._origin[output] = replace(
                    before,
                    norm=norm.layer,
                    nonlinear=False,
                    behind_norm=before.behind_norm or before.nonlinear,
                )
            else:
                self._origin[output] = origin

    def _through(self, node: Node, sites: list[Site]) -> Origin:
        """The origin behind an operator without weights: that of its main operands, joined."""
        draft, addition = self.draft, self.additions.get(node.id)
        if addition is not None and addition.kind == "residual":
            return Origin(reset="residual")
        if draft.wiring.family(node) == "attention" and node.op not in ("softmax", "log_softmax", "softmin"):
            value = draft.wiring.slot(node, "value")
            return Origin(self.of(value).previous, reset="attention")
        if draft.wiring.family(node) == "opaque":
            return Origin(reset="opaque")
        operands = main_operands(draft, node, sites)
        if not operands:
            return _NOTHING
        origins = [self.of(v) for v in operands]
        origin = _joined(origins) if len(origins) > 1 else origins[0]
        if node.op in ("cat", "stack") and self._joins_skip(operands):
            origin = replace(origin, reset="skip")
        if node.op in ("matmul", "einsum") and len(draft.wiring.signals(node)) > 1:
            origin = replace(origin, reset=origin.reset or "attention")
        product = node.op in ("mul", "reversed_mul") and len(draft.wiring.signals(node)) > 1
        if product or not is_linear(draft, node):
            origin = replace(origin, nonlinear=True, product=origin.product or product)
        return origin

    def _joins_skip(self, operands: list[int]) -> bool:
        """Whether one operand of a concatenation is an ancestor of another: a dense or long skip."""
        latest = max(operands)
        others = set(operands) - {latest}
        stack, seen = [latest], set[int]()
        floor = min(self._order(v) for v in operands)
        while stack and len(seen) < 256:
            value = stack.pop()
            if value in others:
                return True
            if value in seen or self._order(value) < floor:
                continue
            seen.add(value)
            node = self.draft.wiring.producer(value)
            if node is not None:
                stack.extend(v for v in self.draft.wiring.signals(node))
        return False

    def _order(self, value: int) -> int:
        producer = self.draft.wiring.values[value].producer
        return -1 if producer is None else producer


def _levels(sites: list[Site]) -> int:
    """How many weighted layers lie behind one another in a node: stacked recurrent layers, attention projections."""
    levels = {site.layer.attrs.get("recurrent_level", 0) for site in sites}
    inner = any(
        site.output is None and site.layer.kind == "linear" and not site.layer.attrs.get("adapts") for site in sites
    )
    outer = any(site.output is not None for site in sites)
    return len(levels) + (1 if inner and outer else 0)


def _joined(origins: list[Origin]) -> Origin:
    previous = tuple(dict.fromkeys(layer for o in origins for layer in o.previous))[:MAX_PREVIOUS]
    norms = {id(o.norm) for o in origins}
    return Origin(
        previous,
        origins[0].norm if len(norms) == 1 else None,
        any(o.nonlinear for o in origins),
        any(o.behind_norm for o in origins),
        next((o.reset for o in origins if o.reset), ""),
        any(o.product for o in origins),
    )
