"""What facts about one layer need to know of the others: its stretch, its peers, the layers before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

from initadvisor.analysis.facts.tensor import TensorFacts
from initadvisor.analysis.peers import Drawn, Standing, standings
from initadvisor.analysis.stretches import Link, Stretch, stretches
from initadvisor.graph import Activation, Graph, Layer, Layout
from initadvisor.ops.gains import gains

ASIDE = frozenset({"head", "lora_a", "lora_b"})
"""Roles that are no step of a stretch: outputs, and corrections beside a layer."""

_MATRIX = frozenset({"linear", "gemm", "matmul", "reversed_matmul", "addmm", "einsum", "multi_head_attention"})


class Bonds:
    """The layers of a graph by name, with what their tensors say."""

    def __init__(self, graph: Graph, tensors: Mapping[str, TensorFacts]) -> None:
        self.graph = graph
        self.tensors = tensors
        self.layers = {layer.name: layer for layer in graph.layers}

    @cached_property
    def gaps(self) -> frozenset[str]:
        """The layers that are at a random draw in front of trained ones."""
        from initadvisor.analysis.collect.backbone import gaps

        return frozenset(layer.name for layer in gaps(self))

    def weight(self, layer: Layer) -> TensorFacts | None:
        """The facts of a layer's weight."""
        return self.tensors.get(layer.weight) if layer.weight else None

    def bias(self, layer: Layer) -> TensorFacts | None:
        """The facts of a layer's bias."""
        return self.tensors.get(layer.bias) if layer.bias else None

    def rms(self, layer: Layer) -> float | None:
        """Root mean square of the weight as the operator uses it; None where it is not known.

        A weight-normalized weight has rows of the length of its gain, whatever the parameter itself holds.
        """
        facts = self.weight(layer)
        if facts is None or facts.rms is None:
            return None
        if "weight_scale" not in layer.attrs:
            return facts.rms
        scale = layer.attrs["weight_scale"]
        if scale is not None:
            return abs(float(scale)) * facts.rms
        return self._weight_norm_rms(layer)

    def _weight_norm_rms(self, layer: Layer) -> float | None:
        if layer.attrs.get("reparametrised") != "weight_norm" or layer.weight is None:
            return None
        gain = next((g for g in self.graph.layers if g.role == "weight_gain" and g.node == layer.node), None)
        facts = self.weight(gain) if gain is not None else None
        if gain is None or gain.weight is None or facts is None or facts.rms is None:
            return None
        rows, elements = self.graph.parameters[gain.weight].size, self.graph.parameters[layer.weight].size
        return facts.rms * math.sqrt(rows / elements) if elements else None

    def gain(self, layer: Layer) -> float | None:
        """rms(weight) * sqrt(fan_in)."""
        rms = self.rms(layer)
        return None if rms is None or layer.fan_in is None else rms * math.sqrt(layer.fan_in)

    def activation(self, layer: Layer) -> Activation | None:
        """The activation behind a layer, the slope of a PReLU taken from its parameter."""
        found = layer.activation
        if found is None or found.name != "prelu" or found.second_moment is not None:
            return found
        slope_layer = self.layers.get(layer.attrs.get("slope", ""))
        facts = self.weight(slope_layer) if slope_layer is not None else None
        if facts is None or facts.mean is None:
            return found
        measured = gains("leaky_relu", negative_slope=facts.mean)
        return Activation(
            "leaky_relu",
            (("negative_slope", facts.mean),),
            measured.second_moment,
            measured.slope_moment,
            found.gated,
        )

    def is_zero(self, layer: Layer) -> bool | None:
        """Whether a layer puts out zero whatever comes in: weight and bias are all zero."""
        weight, bias = self.weight(layer), self.bias(layer)
        if weight is None or weight.absmax is None:
            return None
        if weight.absmax > 0 or weight.nan_count or weight.inf_count:
            return False
        if layer.bias is None:
            return True
        return None if bias is None or bias.absmax is None else bias.absmax == 0 and not bias.nan_count

    def previous(self, layer: Layer) -> list[Layer]:
        """The layers right before a layer, no skip between."""
        return [self.layers[name] for name in layer.attrs.get("previous", ()) if name in self.layers]

    def before_norm(self, norm: Layer) -> list[Layer]:
        """The layers whose output a norm takes, with no activation between."""
        return self._norm_sources.get(norm.name, [])

    @cached_property
    def _norm_sources(self) -> dict[str, list[Layer]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.graph.layers:
            if layer.norm_after and layer.kind in ("linear", "recurrent"):
                found.setdefault(layer.norm_after, []).append(layer)
        return found

    def layout_shape(self, layer: Layer) -> tuple[Layout, tuple[int, ...]] | None:
        """How the weight is stored."""
        if layer.layout is None or layer.weight is None:
            return None
        return layer.layout, self.graph.parameters[layer.weight].shape

    def link(self, layer: Layer) -> Link:
        """A layer as a step of a stretch."""
        weight, bias = self.weight(layer), self.bias(layer)
        method = weight.draw.method if weight is not None and weight.draw is not None else None
        rms = bias.rms if bias is not None and bias.rms is not None else 0.0
        # Pairs of opposite units pass on more than independent ones, which is what a stretch counts with.
        unlike = weight is not None and (weight.constant or weight.mirrored)
        gain = None if unlike else self.gain(layer)
        before = tuple(n for n in layer.attrs.get("stretch_previous", ()) if self._steps(n))
        sums = weight.row_sums if weight is not None and weight.row_sums is not None else 1.0
        stored = self.layout_shape(layer)
        units = stored[0].channels_out(stored[1]) if stored is not None else None
        lifted = bias is not None and (bias.mean or 0.0) > 0.0 and bias.constant is True
        default = method == "pytorch_default"
        return Link(layer.name, before, gain, self.activation(layer), rms, default, sums, units, lifted)

    def _steps(self, name: str) -> bool:
        layer = self.layers.get(name)
        return layer is not None and layer.role not in ASIDE

    @cached_property
    def stretches(self) -> dict[str, Stretch]:
        """The un-normalised stretch behind each layer, by name."""
        ordered = [x for x in self.graph.layers if x.kind == "linear" and x.role not in ASIDE]
        return stretches(self.link(layer) for layer in ordered)

    @cached_property
    def peers(self) -> dict[str, Standing]:
        """Where each layer stands among its peers, by name."""
        drawn = []
        for layer in self.graph.layers:
            stored, facts = self.layout_shape(layer), self.weight(layer)
            if (
                layer.kind != "linear"
                or stored is None
                or facts is None
                or not facts.rms
                or not math.isfinite(facts.rms)
            ):
                continue
            layout, shape = stored
            if layer.fan_in is None or layer.fan_out is None or layer.fan_in <= 0:
                continue
            conventional = layout.conventional_fans(shape)
            group = (
                "matrix" if layer.op in _MATRIX else layer.op,
                layer.groups > 1,
                layer.receptive_field > 1,
                layer.role,
                layer.residual_role,
            )
            drawn.append(
                Drawn(layer.name, group, facts.rms, layer.fan_in, layer.fan_out, conventional[0], conventional[1])
            )
        return standings(drawn)

    @cached_property
    def originals(self) -> dict[str, str]:
        """Parameter -> the first layer that holds the same bits in another parameter."""
        first: dict[tuple[object, ...], Layer] = {}
        found: dict[str, str] = {}
        for layer in self.graph.layers:
            facts = self.weight(layer)
            if facts is None or not facts.copies or layer.weight is None:
                continue
            # Equal bits give equal statistics, and independent draws never do.
            key = (facts.shape, facts.dtype, facts.rms, facts.mean, facts.min, facts.max)
            original = first.setdefault(key, layer)
            if original.weight != layer.weight:
                found[layer.weight] = original.name
        return found

    def is_identical(self, layer: Layer) -> bool:
        """Whether all units of a layer are copies of one another: equal rows that are not zero, and equal biases."""
        weight, bias, stored = self.weight(layer), self.bias(layer), self.layout_shape(layer)
        if weight is None or not weight.absmax or (layer.bias is not None and (bias is None or not bias.constant)):
            return False
        if weight.constant:
            return True
        rows = stored[0].channels_out(stored[1]) if stored is not None else 0
        return weight.duplicate_rows is not None and rows > 1 and weight.duplicate_rows * rows >= rows - 1.5

    @cached_property
    def constant_runs(self) -> dict[str, int]:
        """For each layer, how many layers in a row up to it hold one non-zero number throughout."""
        runs: dict[str, int] = {}
        for layer in self.graph.layers:
            weight = self.weight(layer)
            if layer.kind == "linear" and weight is not None and weight.constant and weight.absmax:
                before = [runs.get(previous.name, 0) for previous in self.previous(layer)]
                runs[layer.name] = 1 + min(before, default=0)
        return runs
