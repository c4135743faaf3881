"""Facts of the predicted signal, for every layer and for the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from initadvisor.analysis.facts.signal import LayerSignalFacts, ModelSignalFacts
from initadvisor.analysis.forecast import Forecast, entering
from initadvisor.analysis.signal import LayerSignal, Prediction
from initadvisor.graph import Graph, Layer
from initadvisor.ops.moments import Gradient, Signal

_MATRICES = frozenset({"linear", "recurrent"})
_ASIDE = frozenset({"router", "modulation", "squeeze_excite", "lora_a", "lora_b", "relative_position"})
"""Roles beside the way from input to output: what they put out scales or corrects another signal."""

_READS_STREAM = frozenset({"q", "k", "v", "qkv", "kv", "mlp_in", "gate", "gate_up"})
"""Layers that read the stream of tokens, or a norm of it."""

_LARGEST = 700.0
"""The largest exponent of a float."""


class Signals:
    """The facts of a forecast; nothing where none was made."""

    def __init__(self, graph: Graph, forecast: Forecast) -> None:
        self._layers: dict[str, LayerSignalFacts] = {}
        self.model: ModelSignalFacts | None = None
        self._graph = graph
        prediction = self._prediction = forecast.prediction
        if prediction is None:
            return
        known = {layer.name: layer for layer in graph.layers}
        shares = {s.name: _share(known[s.name], s, forecast) for s in prediction.layers}
        usual = median([share for share in shares.values() if share] or [0.0])
        for s in prediction.layers:
            self._layers[s.name] = _layer(s, shares[s.name], usual)
        self.model = ModelSignalFacts(**_Whole(graph, prediction).facts())

    def layer(self, name: str) -> LayerSignalFacts | None:
        """The facts of a layer, None where nothing is predicted."""
        return self._layers.get(name)

    def entering_variance(self, layer: Layer) -> float | None:
        """Variance of a channel over samples and places where it enters a layer; None where nothing is predicted."""
        if self._prediction is None or layer.node is None:
            return None
        forward = self._prediction.propagation.forward
        value = entering(self._graph, layer.node, forward)
        signal = forward[value] if value is not None else None
        return None if signal is None else max(signal.q - signal.samples, 0.0)


def _layer(s: LayerSignal, share: float | None, usual: float) -> LayerSignalFacts:
    relative = share / usual if share is not None and usual > 0 else None
    return LayerSignalFacts(**s.figures(), relative_gradient=relative)


def _share(layer: Layer, s: LayerSignal, forecast: Forecast) -> float | None:
    """The gradient of a weight as a share of the weight itself."""
    held = forecast.weights.get(layer.weight or "")
    if held is None or held.q <= 0 or s.weight_gradient is None:
        return None
    return s.weight_gradient / math.sqrt(held.q)


@dataclass(frozen=True, slots=True)
class _End:
    """What a head reads: the name of the head, the depth of its input, the signal and the gradient there."""

    name: str
    depth: int
    signal: Signal
    gradient: Gradient | None


class _Whole:
    """The way from the first layer to what the heads read."""

    def __init__(self, graph: Graph, prediction: Prediction) -> None:
        self.graph = graph
        self.run = prediction.propagation
        self.found = {s.name: s for s in prediction.layers}
        matrices = [x for x in graph.layers if x.kind in _MATRICES and x.role not in _ASIDE and x.node is not None]
        self.matrices = matrices
        known = [x for x in matrices if x.depth is not None and self._output(x) is not None]
        self.known = sorted(known, key=lambda x: (x.depth or 0, x.node or 0))
        self.hidden = [x for x in self.known if x.role != "head"]

    def facts(self) -> dict[str, Any]:
        """The facts of the model by name."""
        if not self.known:
            return {"layers": 0, "known": 0.0}
        facts: dict[str, Any] = {"layers": len(self.known), "known": len(self.known) / len(self.matrices)}
        return facts | self._way() | self._extremes() | self._stream() | self._tokens()

    def _output(self, layer: Layer) -> int | None:
        node = self.graph.nodes[layer.node] if layer.node is not None else None
        value = node.outputs[0] if node is not None and node.outputs else None
        return value if value is not None and self.run.forward[value] is not None else None

    def _ends(self) -> Iterable[_End]:
        """What each head reads; without a head, what the deepest layer puts out."""
        for head in self.known:
            value = entering(self.graph, head.node or 0, self.run.forward) if head.role == "head" else None
            signal = self.run.forward[value] if value is not None else None
            if value is not None and signal is not None:
                yield _End(head.name, (head.depth or 1) - 1, signal, self.run.backward[value])
        last = self.known[-1]
        value = self._output(last)
        signal = self.run.forward[value] if value is not None else None
        if all(x.role != "head" for x in self.known) and value is not None and signal is not None:
            yield _End(last.name, last.depth or 1, signal, self.run.backward[value])

    def _start(self) -> tuple[str, int, int | None]:
        """(name, depth, value) where the way begins: the first trunk layer or residual sum, whichever comes first.

        A layer inside a branch says little of the trunk: a branch may start all but closed (LayerScale, Fixup).
        """
        found = [
            (x.node or 0, x.name, x.depth or 1, self._output(x))
            for x in self.hidden
            if x.residual_role not in ("in_branch", "branch_end")
        ]
        depths = {x.name: x.depth or 1 for x in self.graph.layers}
        for block in self.graph.summary.get("blocks", ()):
            value = self.graph.nodes[block["node"]].outputs[0]
            end = next((name for name in block["ends"] if name in depths), "")
            if end and self.run.forward[value] is not None:
                found.append((block["node"], end, depths[end], value))
        if not found:
            first = self.hidden[0]
            return first.name, first.depth or 1, self._output(first)
        return min(found, key=lambda place: place[0])[1:]

    def _way(self) -> dict[str, Any]:
        ends = list(self._ends())
        if not self.hidden or not ends:
            return {}
        name, at_depth, value = self._start()
        start = self.run.forward[value] if value is not None else None
        if value is None or start is None:
            return {}
        apart = max(ends, key=lambda end: _apart(end.signal))
        loud = max(ends, key=lambda end: end.signal.q)
        back = max((end for end in ends if end.gradient), key=lambda end: end.gradient.q, default=None)  # type: ignore[union-attr]
        facts: dict[str, Any] = {
            "first_layer": name,
            "last_layer": apart.name,
            "forward_ratio": _ratio(_apart(apart.signal), _apart(start)),
            "scaled_forward_ratio": _ratio(_share_apart(apart.signal), _share_apart(start)),
            "end_rms": math.sqrt(loud.signal.q),
            "rms_ratio": _ratio(math.sqrt(loud.signal.q), math.sqrt(start.q)),
            "cosine": min((end.signal.samples / end.signal.q for end in ends if end.signal.q > 0), default=None),
        }
        gradient = self.run.backward[value]
        if back is None or back.gradient is None or gradient is None or back.gradient.q <= 0 or gradient.q <= 0:
            return facts
        # Norms, not elements: a pooled map hands every pixel its share. In logarithms: hundreds of layers may take the
        # ratio out of the range of floats.
        elements = math.log(start.counts().total) - math.log(back.signal.counts().total)
        squared = math.log(gradient.q) - math.log(back.gradient.q) + elements
        facts["backward_ratio"] = math.exp(0.5 * min(squared, _LARGEST))
        if start.q > 0 and back.signal.q > 0:
            scales = math.log(start.q) - math.log(back.signal.q)
            facts["scaled_backward_ratio"] = math.exp(0.5 * min(squared + scales, _LARGEST))
        depth = back.depth - at_depth
        if depth > 0:
            facts["sensitivity"] = math.exp(0.5 * min(squared / depth, _LARGEST))
            facts["depth_scale"] = depth / max(abs(squared), 1e-9)
            facts["depth_scales"] = abs(squared)
        return facts

    def _extremes(self) -> dict[str, Any]:
        rms = {x.name: self.found[x.name].output or 0.0 for x in self.known}
        for block in self.graph.summary.get("blocks", ()):
            signal = self.run.forward[self.graph.nodes[block["node"]].outputs[0]]
            name = next(iter(block["ends"]), "")
            if signal is not None and name:
                rms[name] = max(rms.get(name, 0.0), math.sqrt(max(signal.q, 0.0)))
        largest = max(rms, key=lambda name: rms[name])
        facts: dict[str, Any] = {"largest_rms": rms[largest], "largest_at": largest}
        slopes = {x.name: g for x in self.known if (g := self.found[x.name].weight_gradient)}
        if slopes:
            smallest = min(slopes, key=lambda name: slopes[name])
            facts |= {"smallest_gradient_rms": slopes[smallest], "smallest_gradient_at": smallest}
            facts["largest_weight_gradient_rms"] = max(slopes.values())
        facts["largest_gradient_rms"] = max((g for x in self.known if (g := self.found[x.name].gradient)), default=None)
        logits = self.run.attention
        if logits:
            sharpest = max(logits, key=lambda node: logits[node])
            facts["largest_logit_std"] = math.sqrt(max(logits[sharpest], 0.0))
            facts["largest_logit_at"] = self.graph.nodes[sharpest].scope or "the attention"
        return facts

    def _stream(self) -> dict[str, Any]:
        """How the second moment of the residual stream goes from one addition to the next."""
        sums = [
            s.q
            for block in self.graph.summary.get("blocks", ())
            if (s := self.run.forward[self.graph.nodes[block["node"]].outputs[0]]) is not None and s.q > 0
        ]
        if len(sums) < 2:
            return {"stream_additions": len(sums)}
        factors = [after / before for before, after in pairwise(sums)]
        return {
            "stream_additions": len(sums),
            "stream_growth": math.sqrt(max(sums) / sums[0]),
            "stream_factor": median(factors[len(factors) // 2 :]),
        }

    def _tokens(self) -> dict[str, Any]:
        """The cosine of two tokens where the deepest layer that reads the stream gets them."""
        for layer in reversed(self.hidden):
            value = entering(self.graph, layer.node or 0, self.run.forward) if layer.role in _READS_STREAM else None
            signal = self.run.forward[value] if value is not None else None
            if signal is not None and signal.q > 0 and signal.counts().positions > 1:
                return {"token_cosine": signal.positions / signal.q, "token_layer": layer.name}
        return {}


def _apart(signal: Signal) -> float:
    """Root mean square of what tells two independent inputs apart."""
    return math.sqrt(max(signal.q - signal.samples, 0.0))


def _share_apart(signal: Signal) -> float:
    """The same as a share of the whole signal."""
    return _apart(signal) / math.sqrt(signal.q) if signal.q > 0 else 0.0


def _ratio(a: float, b: float) -> float | None:
    return a / b if b > 0 else None
