"""What is left alone: learned, frozen, or put there on purpose."""

from __future__ import annotations

from collections.abc import Container, Mapping
from math import log
from typing import TYPE_CHECKING

from initadvisor.graph import Graph, Layer, Parameter

if TYPE_CHECKING:
    from initadvisor.analysis.facts import TensorFacts

_ZERO_ROLES = frozenset({"head", "lora_b", "modulation", "router", "gate", "layer_scale"})


LEAST_PRIOR = 1e-7
"""Smallest prior probability that a bias is taken to state: the spacing of float32 at 1. Larger biases are faults."""

_REPEATED = 0.5
"""From this share of equal units on, a weight cannot be a learned one, however little it looks like a draw."""


class Intent:
    """Why a parameter should be left as it is, asked one at a time.

    broken: parameters that findings of level error are about. In a network whose other weights are drawn, one of them
    that does not look drawn is at fault, rather than learned.
    """

    def __init__(
        self,
        graph: Graph,
        measured: Mapping[str, TensorFacts],
        include_trained: bool,
        broken: Container[str] = frozenset(),
    ) -> None:
        self.measured = measured
        self.include_trained = include_trained
        self.owner: dict[str, tuple[Layer, bool]] = {}
        for layer in graph.layers:
            if layer.weight is not None:
                self.owner.setdefault(layer.weight, (layer, True))
            if layer.bias is not None:
                self.owner.setdefault(layer.bias, (layer, False))
        self._trained = {name for name, facts in measured.items() if facts.draw is not None and facts.draw.trained}
        matrices = [layer.weight for layer in graph.layers if layer.kind in ("linear", "recurrent", "embedding")]
        known = [n for n in matrices if n is not None and n in measured and measured[n].draw is not None]
        self._learned = bool(known) and sum(name in self._trained for name in known) * 2 > len(known)
        if not self._learned:
            self._trained = {n for n in self._trained if n not in broken and not _repeats(measured[n])}

    def trained(self, parameter: str) -> bool | None:
        """Whether a parameter holds something learned; None where that cannot be told."""
        facts = self.measured.get(parameter)
        if facts is None or facts.draw is None or facts.draw.trained is None:
            return None
        if parameter in self._trained:
            return True
        # In a trained layer everything is: its bias and the scales of norms say too little by themselves.
        layer, is_weight = self.owner.get(parameter, (None, False))
        if layer is not None and not is_weight and layer.weight in self._trained:
            return True
        small = layer is None or layer.kind in ("norm", "scale", "table") or not is_weight
        return bool(self._learned and small)

    def reason(self, parameter: Parameter) -> str | None:
        """Why a parameter is left alone, or None where it is free to draw."""
        if parameter.trainable is False:
            return "frozen: the optimizer will not change it"
        if not self.include_trained and self.trained(parameter.name):
            return "trained: it holds something learned"
        layer, is_weight = self.owner.get(parameter.name, (None, False))
        if layer is None:
            return "in no layer that was understood"
        if layer.attrs.get("reparametrised") or layer.role == "weight_gain":
            return "reparametrised: its parts depend on each other"
        facts = self.measured.get(parameter.name)
        if facts is None or not facts.constant or facts.absmax is None:
            return None
        return self._constant(layer, is_weight, float(facts.max or 0.0))

    @staticmethod
    def _constant(layer: Layer, is_weight: bool, value: float) -> str | None:
        """Constants that somebody chose: zero heads, zero branch ends, LayerScale, prior biases."""
        if not is_weight:
            states_prior = 0.0 < abs(value) <= -log(LEAST_PRIOR)
            return "a prior bias of the head" if layer.role == "head" and states_prior else None
        if layer.kind in ("scale", "table"):
            return f"a {layer.role or 'scale'} that starts at {value:g}"
        if value == 0.0:
            if layer.role in _ZERO_ROLES:
                return f"a {layer.role} that starts at zero"
            if layer.residual_role == "branch_end" and layer.kind in ("linear", "norm"):
                return "a zero branch end: the block starts as the identity"
        return None


def _repeats(facts: TensorFacts) -> bool:
    return facts.duplicate_rows is not None and facts.duplicate_rows >= _REPEATED
