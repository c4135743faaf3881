"""What becomes of each layer's output: the activation that consumes it, the norm after it, gates, graph outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.functions import Function, functions_from
from initadvisor.analysis.structure.gates import Gate
from initadvisor.analysis.structure.norms import SCALE_ERASING
from initadvisor.analysis.structure.residual import Addition
from initadvisor.graph import Activation, Layer, Node

MAX_STEPS = 200
"""Transparent operators followed behind one layer; beyond that the activation is unknown."""

LINEAR = Activation("linear", (), 1.0, 1.0)
_HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "linear"})
_PASSES = frozenset(
    {
        "mean", "sum", "pad", "interpolate", "unfold", "fold", "cat", "stack", "where", "masked_fill", "setitem",
        "index_put", "grid_sample", "copy", "scatter", "index_add", "scatter_add", "scatter_nd", "diag_embed", "amax",
        "max", "tril", "triu", "trilu", "masked_scatter", "broadcast_tensors", "variadic_sum", "slice_scatter",
        "select_scatter", "cumsum", "index_copy", "tensor_scatter",
    }
)  # fmt: skip
_SCALINGS = frozenset({"mul", "reversed_mul", "div"})
_ADDS = frozenset({"add", "reversed_add", "sub", "reversed_sub", "neg"})
_SOFT = frozenset({"softmax", "log_softmax", "softmin", "gumbel_softmax", "hardmax"})
_IGNORED = frozenset({"shape_of", "size_of", "dims_of", "item", "zeros", "ones", "full", "empty"})
_JUDGED = frozenset({"compare", "loss", "create"})


@dataclass(frozen=True, slots=True)
class Fate:
    """What the readers of a value do with it.

    activation: None where it is not known (an opaque operator). normed: every reader leads to a norm that erases the
    scale, before any non-linearity; norm is the first of them. erased: the same, perhaps behind a non-linearity that
    keeps the scale (ReLU and its like). added: a residual add takes the value as it is. split: the readers apply
    different functions. gate: the value multiplies another signal as its gate. gated: it is multiplied by a gate.
    output: it leaves the model. slope: the layer that holds the slope of a PReLU.
    """

    activation: Activation | None = LINEAR
    normed: bool = False
    norm: Layer | None = None
    erased: bool = False
    added: bool = False
    split: bool = False
    gate: bool = False
    gated: bool = False
    output: bool = False
    slope: Layer | None = None


class Fates:
    """The fate of values, looked up on demand and remembered."""

    def __init__(self, draft: Draft, additions: dict[int, Addition], gates: dict[int, Gate]) -> None:
        self.draft = draft
        self.additions = additions
        self.gates = gates
        self._known: dict[int, Fate] = {}

    def of(self, value: int, steps: int = 0) -> Fate:
        """What becomes of a value."""
        known = self._known.get(value)
        if known is None:
            known = Fate(None) if steps > MAX_STEPS else self._find(value, steps)
            self._known[value] = known
        return known

    def _find(self, value: int, steps: int) -> Fate:
        wiring = self.draft.wiring
        found: list[Fate] = []
        seen_norms: set[int] = set()
        functions, region = functions_from(self.draft, value)
        found.extend(self._after(function, steps) for function in functions)
        for reader, _slot in wiring.readers[value]:
            node = wiring.nodes[reader]
            norm = self.draft.norm_at.get(reader)
            if norm is not None:
                if norm.input == value and id(norm) not in seen_norms:
                    seen_norms.add(id(norm))
                    after = self.of(norm.output, steps + 1)
                    erases = norm.op in SCALE_ERASING
                    found.append(
                        Fate(
                            after.activation,
                            erases,
                            norm.layer if erases else None,
                            erases,
                            split=after.split,
                            output=after.output,
                            slope=after.slope,
                        )
                    )
                continue
            if reader in region:
                continue
            fate = self._reader(node, value, steps)
            if fate is not None:
                found.append(fate)
        if value in wiring.outputs:
            found.append(Fate(output=True))
        return _joined(found)

    def _after(self, function: Function, steps: int) -> Fate:
        """The fate of a value that a function is applied to."""
        after = self.of(function.output, steps + 1)
        name = function.activation.name
        if name == "linear":
            return after
        erased = name in _HOMOGENEOUS and after.erased
        activation = function.activation
        if after.gate:
            activation = Activation(name, activation.params, activation.second_moment, activation.slope_moment, True)
        return Fate(activation, erased=erased, output=after.output)

    def _reader(self, node: Node, value: int, steps: int) -> Fate | None:
        """The fate through one reader; None for readers that take no signal (shapes, comparisons)."""
        wiring, draft = self.draft.wiring, self.draft
        family = wiring.family(node)
        if not node.outputs or node.op in _IGNORED or family in _JUDGED:
            return None
        if node.id in draft.bias_nodes:
            return self.of(node.outputs[0], steps + 1)
        sites = draft.at_node.get(node.id, [])
        if sites:
            return self._at_layer(node, [s.layer for s in sites], steps)
        addition = self.additions.get(node.id)
        if addition is not None and addition.kind in ("residual", "unknown"):
            return Fate(added=True)
        if node.op == "glu":
            return Fate(Activation("sigmoid", (), None, None, True))
        if node.op in _SOFT:
            return Fate(Activation(node.op), output=node.outputs[0] in wiring.outputs)
        if family == "opaque":
            return Fate(None)
        if node.op in _SCALINGS and len(wiring.signals(node)) > 1:
            after = self.of(node.outputs[0], steps + 1)
            gate = self.gates.get(node.id)
            opens = gate is not None and gate.gate == value
            return Fate(
                after.activation,
                added=after.added,
                split=after.split,
                gate=opens,
                gated=not opens,
                output=after.output,
            )
        passes = wiring.transparent(node) or node.op in _PASSES or node.op in _SCALINGS or node.op in _ADDS
        if passes or family == "pool":
            return _mixed(node, _joined([self.of(output, steps + 1) for output in node.outputs]))
        if family in ("elementwise", "activation", "select"):
            return Fate(Activation("unknown"))
        return Fate()

    def _at_layer(self, node: Node, layers: list[Layer], steps: int) -> Fate:
        kinds = {layer.kind for layer in layers}
        if kinds & {"linear", "recurrent", "embedding"}:
            return Fate()
        if any(layer.role == "activation_slope" for layer in layers):
            after = self.of(node.outputs[0], steps + 1)
            return Fate(Activation("prelu"), erased=after.erased, slope=layers[0])
        return self.of(node.outputs[0], steps + 1)


def _mixed(node: Node, fate: Fate) -> Fate:
    """Behind a concatenation only a norm that treats each channel by itself erases the scale of one part."""
    if node.op not in ("cat", "stack") or not (fate.normed or fate.erased):
        return fate
    if fate.norm is not None and fate.norm.op in ("batch_norm", "instance_norm"):
        return fate
    return replace(fate, normed=False, norm=None, erased=False)


def _joined(fates: list[Fate]) -> Fate:
    """One fate from those of several readers."""
    if not fates:
        return Fate()
    if len(fates) == 1:
        return fates[0]
    added = any(f.added for f in fates)
    normed = all(f.normed for f in fates)
    norm = fates[0].norm if normed else None
    erased = all(f.erased for f in fates)
    gate, multiplied = any(f.gate for f in fates), any(f.gated for f in fates)
    output = any(f.output for f in fates)
    carried = [f.activation for f in fates if f.activation is not None and f.activation.gated]
    names = {(f.activation.name, f.activation.params) for f in fates if f.activation is not None}
    split = any(f.split for f in fates)
    activation: Activation | None
    if carried:
        activation = carried[0]
    elif any(f.activation is None for f in fates):
        activation = None
    elif len(names) == 1:
        activation = fates[0].activation
    elif any(name == "linear" for name, _ in names):
        activation, split = LINEAR, True
    else:
        activation, split = Activation("unknown"), True
    slope = next((f.slope for f in fates if f.slope is not None), None)
    return Fate(activation, normed, norm, erased, added, split, gate, multiplied, output, slope)


def read_fates(draft: Draft, additions: dict[int, Addition], gates: dict[int, Gate]) -> Fates:
    """Set activation, norm_after and scale_invariant of every layer from what consumes its output."""
    fates = Fates(draft, additions, gates)
    for layer in draft.graph.layers:
        if layer.kind not in ("linear", "norm", "embedding"):
            continue
        found = [fates.of(site.output) for site in draft.sites_of(layer) if site.output is not None]
        if not found:
            if layer.activation is None and draft.sites_of(layer):
                layer.activation = LINEAR
            continue
        fate = _joined(found)
        layer.activation = fate.activation
        layer.norm_after = fate.norm.name if fate.norm is not None else None
        if layer.kind == "linear":
            layer.scale_invariant = bool(layer.scale_invariant) or fate.norm is not None
            if fate.erased and not layer.scale_invariant:
                layer.attrs["scale_erased"] = True
        if fate.split:
            layer.attrs["split"] = True
        if fate.slope is not None:
            layer.attrs["slope"] = fate.slope.name
        if fate.added:
            layer.attrs["feeds_residual"] = True
        if fate.gated:
            layer.attrs["gated_by_product"] = True
        elif fate.gate:
            layer.attrs["gates_product"] = True
    return fates
