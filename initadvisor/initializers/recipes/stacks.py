"""One method for all hidden layers of a plain stack: orthogonal, sparse orthogonal, identity-like, SIREN."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import branches, in_blocks, weighted, zero_biases
from initadvisor.initializers.spec import InitSpec


def forward_gain(layer: Layer) -> float:
    """The gain of the activation behind a layer, 1 where it is not known or the layer is the head."""
    second = layer.activation.second_moment if layer.activation is not None and layer.role != "head" else None
    return 1.0 / sqrt(second) if second else 1.0


@recipe("orthogonal")
def orthogonal(
    graph: Graph,
    gain: float | None = None,
    gains: Mapping[str, float] | None = None,
    centred: frozenset[str] = frozenset(),
) -> Choices:
    """Orthogonal weights everywhere, the centre tap of convolutions that keep their size included.

    Formula: W = gain Q; the gain is the activation's (sqrt 2 for ReLU) unless given, for all or by layer name. The rows
        of layers in `centred` sum to zero.
    Use: deep plain stacks.
    Caveat: see `orthogonal` and `delta_orthogonal`.
    Source: Saxe et al. 2013, arXiv 1312.6120; Xiao et al. 2018, arXiv 1806.05393.
    """
    chosen: Choices = {}
    for layer in weighted(graph):
        own = _gain(layer, gain, gains)
        spec = InitSpec("orthogonal", {"gain": own, "unit_variance": True, "centred": layer.name in centred})
        if layer.receptive_field > 1 and layer.groups == 1 and layer.layout and layer.layout.stride == 1:
            spec = InitSpec("delta_orthogonal", {"gain": own, "unit_variance": True})
        chosen[layer.weight or ""] = Choice(in_blocks(layer, spec), f"an isometry of gain {own:.4g}")
    return chosen


@recipe("sparse_orthogonal")
def sparse_orthogonal(
    graph: Graph, density: float = 0.125, gain: float | None = None, gains: Mapping[str, float] | None = None
) -> Choices:
    """EOI: exactly orthogonal and sparse weights in all hidden layers.

    Formula: see the method `sparse_orthogonal`; the head stays dense. The gain as in `orthogonal`.
    Use: sparse training from scratch.
    Caveat: the zeros are only a mask if training keeps them.
    Source: Nowak et al. 2024, arXiv 2406.01755.
    """
    chosen: Choices = {}
    for layer in weighted(graph):
        if layer.role != "head":
            own = _gain(layer, gain, gains)
            spec = InitSpec("sparse_orthogonal", {"density": density, "gain": own})
            chosen[layer.weight or ""] = Choice(
                in_blocks(layer, spec), f"an isometry with {density:.0%} of its weights"
            )
    return chosen


def _gain(layer: Layer, gain: float | None, gains: Mapping[str, float] | None) -> float:
    if gains is not None and layer.name in gains:
        return gains[layer.name]
    return forward_gain(layer) if gain is None or layer.role == "head" else gain


@recipe("idinit")
def idinit(graph: Graph, epsilon: float = 1e-6) -> Choices:
    """IDInit: identity-like layers, branch ends nearly zero.

    Formula: see the methods `idinit` and `idinit_zero`.
    Use: residual networks, with momentum.
    Caveat: see the methods.
    Source: Pan et al. 2025, arXiv 2503.04626.
    """
    chosen = zero_biases(graph, "biases start at zero", ("linear",))
    for layer in weighted(graph):
        chosen[layer.weight or ""] = Choice(in_blocks(layer, InitSpec("idinit")), "a copy of its input")
    for layer in (end for branch in branches(graph) for end in branch.ends if end.kind == "linear" and end.weight):
        spec = InitSpec("idinit_zero", {"epsilon": epsilon})
        chosen[layer.weight or ""] = Choice(
            in_blocks(layer, spec), "the block starts as the identity, but with a gradient"
        )
    return chosen


@recipe("zero")
def zero(graph: Graph) -> Choices:
    """ZerO: no random numbers at all.

    Formula: see the method `zero`; branch ends 0.
    Use: residual networks with normalization.
    Caveat: see the method.
    Source: Zhao et al. 2021, arXiv 2110.12661.
    """
    chosen = zero_biases(graph, "biases start at zero", ("linear",))
    for layer in weighted(graph):
        chosen[layer.weight or ""] = Choice(in_blocks(layer, InitSpec("zero")), "identity or Hadamard")
    for layer in (end for branch in branches(graph) for end in branch.ends if end.kind == "linear" and end.weight):
        chosen[layer.weight or ""] = Choice(InitSpec("zeros"), "the block starts as the identity")
    return chosen


@recipe("siren")
def siren(graph: Graph, omega: float = 30.0) -> Choices:
    """SIREN: layers followed by sin(omega x).

    Formula: see the methods `siren_first` and `siren`.
    Use: coordinate networks with sine activations.
    Caveat: biases keep torch's default in the reference; zeros here.
    Source: Sitzmann et al. 2020, arXiv 2006.09661.
    """
    chosen = zero_biases(graph, "biases start at zero", ("linear",))
    for layer in weighted(graph):
        first = layer.role == "stem"
        spec = InitSpec("siren_first") if first else InitSpec("siren", {"omega": omega})
        chosen[layer.weight or ""] = Choice(spec, "the first layer of SIREN" if first else "SIREN keeps its variance")
    return chosen
