"""Whole stacks against published results, with weights of exact statistics: theory, no draw."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from initadvisor.analysis.signal import Conditions, WeightStatistics, planned, propagate, read_weights
from initadvisor.ops.correlation import dual
from initadvisor.ops.gains import resolve
from tests.analysis.signal.running import Predicted, measure, recorded


def theory(
    module: nn.Module, x: torch.Tensor, *, weight: float, bias: float = 0.0, conditions: Conditions | None = None
) -> Predicted:
    """Every matrix drawn with variance weight^2 / fan_in, every bias of a linear layer with bias^2."""
    graph = recorded(module, x)
    stds = {}
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear):
            stds[f"{name}.weight"] = weight / math.sqrt(child.in_features)
            if child.bias is not None:
                stds[f"{name}.bias"] = bias
    return Predicted(graph, propagate(graph, planned(read_weights(graph), stds), conditions))


def stack(depth: int, activation: type[nn.Module], width: int = 16, *, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=bias), activation()]
    return nn.Sequential(*layers[:-1])


def gradients(predicted: Predicted, depth: int) -> list[float]:
    """Second moments of the gradient at the output of each layer."""
    nodes = {node.scope: node for node in predicted.graph.nodes}
    found = [predicted.run.backward[nodes[str(2 * i)].outputs[0]] for i in range(depth)]
    assert all(g is not None for g in found)
    return [g.q for g in found if g is not None]


def test_relu_at_he_is_critical_at_every_scale() -> None:
    """chi_1 = sigma_w^2 E[relu'^2] = 1 for sigma_w^2 = 2, whatever q is (He et al. 2015, arXiv 1502.01852)."""
    for q in (1e-3, 1.0, 50.0):
        assert 2.0 * dual(resolve("relu"), 0.0, q).slope == pytest.approx(1.0, rel=1e-9)
    predicted = theory(stack(60, nn.ReLU), torch.randn(4, 16), weight=math.sqrt(2))
    flow = gradients(predicted, 60)
    assert flow[0] == pytest.approx(flow[-1], rel=1e-6)
    assert predicted.of("118") == pytest.approx(2.0, rel=1e-6)


def test_two_inputs_of_a_relu_stack_approach_each_other_by_the_arc_cosine_map() -> None:
    """Cho & Saul 2009: c' = (sqrt(1 - c^2) + c (pi - acos c)) / pi at He."""
    predicted = theory(stack(12, nn.ReLU), torch.randn(4, 16), weight=math.sqrt(2))
    nodes = {node.scope: node for node in predicted.graph.nodes}
    c = 0.0
    for layer in range(12):
        signal = predicted.run.forward[nodes[str(2 * layer)].outputs[0]]
        assert signal is not None
        assert signal.samples / signal.q == pytest.approx(c, abs=3e-3), layer
        c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


@pytest.mark.parametrize("q", [0.01, 0.0259, 0.3])
def test_tanh_on_the_edge_of_chaos_neither_loses_nor_multiplies_its_gradient(q: float) -> None:
    """Schoenholz et al. 2017, arXiv 1611.01232: chi_1 = 1 at the fixed point q* fixes both variances.

    The critical point that Xiao et al. 2018, arXiv 1806.05393, start from has sigma_w = 1.0247, sigma_b = .00448.
    """
    depth, moments = 300, dual(resolve("tanh"), 0.0, q)
    weight = moments.slope**-0.5
    bias = math.sqrt(q - weight**2 * moments.second)
    if q == 0.0259:
        assert (weight, bias) == pytest.approx((1.0247, 0.00448), rel=1e-3)
    # an input of this size has its first pre-activation at q*
    start = Conditions(input_q=moments.second)
    predicted = theory(stack(depth, nn.Tanh), torch.randn(4, 16), weight=weight, bias=bias, conditions=start)
    flow = gradients(predicted, depth)
    assert flow[0] / flow[-1] == pytest.approx(1.0, rel=1e-4)
    assert predicted.of(str(2 * depth - 2)) == pytest.approx(q, rel=1e-4)


@pytest.mark.parametrize(("weight", "bias"), [(0.8, 0.2), (1.0, 0.3), (1.5, 0.1), (2.0, 0.05)])
def test_tanh_off_the_edge_follows_chi_1_layer_by_layer(weight: float, bias: float) -> None:
    """The gradient multiplies by chi_1 = sigma_w^2 E[tanh'^2] at q*: order below 1, chaos above (1611.01232)."""
    q = 1.0
    for _ in range(500):
        q = weight**2 * dual(resolve("tanh"), 0.0, q).second + bias**2
    chi = weight**2 * dual(resolve("tanh"), 0.0, q).slope
    assert (chi > 1.0) == (weight > 1.2)
    depth = 40
    predicted = theory(
        stack(depth, nn.Tanh), torch.randn(4, 16), weight=weight, bias=bias, conditions=Conditions(input_q=q)
    )
    flow = gradients(predicted, depth)
    assert math.log(flow[5] / flow[-5]) / (depth - 10) == pytest.approx(math.log(chi), abs=5e-3)


@pytest.mark.parametrize(("weight", "ordered"), [(0.9, True), (1.8, False)])
def test_two_inputs_merge_in_order_and_stay_apart_in_chaos(weight: float, ordered: bool) -> None:
    conditions = Conditions(input_samples=0.5)
    predicted = theory(stack(80, nn.Tanh), torch.randn(4, 16), weight=weight, bias=0.3, conditions=conditions)
    signal = predicted.run.forward[predicted.graph.outputs[0]]
    assert signal is not None
    cosine = signal.samples / signal.q
    assert (cosine > 0.999) == ordered
    if not ordered:
        assert cosine < 0.9


def test_batch_norm_without_skips_multiplies_the_gradient_as_published() -> None:
    """Yang et al. 2019, arXiv 1902.08129: pi / (pi - 1) a layer for ReLU, in the limit of a large batch."""
    layers: list[nn.Module] = []
    for _ in range(12):
        layers += [nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU()]
    predicted = theory(nn.Sequential(*layers), torch.randn(4096, 32), weight=1.0)
    factors = [predicted.gradient(f"{3 * i}.weight") / predicted.gradient(f"{3 * i + 3}.weight") for i in range(4, 9)]
    assert factors == pytest.approx([math.pi / (math.pi - 1)] * 5, rel=0.01)


@pytest.mark.parametrize("batch", [8, 16, 64])
def test_small_batches_multiply_the_gradient_more_as_a_run_shows(batch: int) -> None:
    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(8):
            layers += [nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()]
        return nn.Sequential(*layers)

    real = measure(make, lambda: (torch.randn(batch, 256),), seeds=6)
    predicted = theory(make(), torch.randn(batch, 256), weight=1 / math.sqrt(3))

    def growth(found: object) -> float:
        first, last = (
            found.gradient(name) if isinstance(found, Predicted) else real.gradients[name]
            for name in ("3.weight", "18.weight")
        )
        return math.log(first / last) / 10  # of the norm, a layer

    assert growth(predicted) == pytest.approx(growth(real), abs=0.02)


class Residual(nn.Module):
    """x + scale * f(x), with or without a norm at the branch's end."""

    def __init__(self, width: int, *, scale: float = 1.0, norm: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.norm(self.outer(torch.relu(self.inner(x))))


@pytest.mark.parametrize("blocks", [1, 6, 20])
def test_a_stream_of_he_branches_doubles_in_each_block(blocks: int) -> None:
    predicted = theory(nn.Sequential(*[Residual(64) for _ in range(blocks)]), torch.randn(4, 64), weight=2**0.25)
    assert predicted.output == pytest.approx(2.0**blocks, rel=1e-6)


@pytest.mark.parametrize("blocks", [1, 6, 20])
def test_a_stream_of_normed_branches_grows_by_one_a_block(blocks: int) -> None:
    module = nn.Sequential(*[Residual(64, norm=True) for _ in range(blocks)])
    predicted = theory(module, torch.randn(64, 64), weight=1.0)
    assert predicted.output == pytest.approx(1.0 + blocks, rel=0.02)


@pytest.mark.parametrize("blocks", [2, 20, 50])
def test_branches_scaled_by_the_root_of_their_number_grow_to_e_at_most(blocks: int) -> None:
    """(1 + 1/L)^L, forward and back (Hanin & Rolnick 2018, arXiv 1803.01719: weighted residuals)."""
    module = nn.Sequential(*[Residual(64, scale=blocks**-0.5) for _ in range(blocks)])
    predicted = theory(module, torch.randn(4, 64), weight=2**0.25)
    expected = (1.0 + 1.0 / blocks) ** blocks
    assert predicted.output == pytest.approx(expected, rel=1e-6)
    back = predicted.run.backward[predicted.graph.inputs[0]]
    assert back is not None
    assert back.q == pytest.approx(expected, rel=1e-6)


def test_a_weight_without_statistics_makes_its_layer_unknown() -> None:
    graph = recorded(stack(3, nn.ReLU), torch.randn(4, 16))
    weights = {name: WeightStatistics(0.0, 0.1) for name in graph.parameters if name != "2.weight"}
    run = propagate(graph, weights)
    nodes = {node.scope: node for node in graph.nodes}
    assert run.forward[nodes["0"].outputs[0]] is not None
    assert run.forward[nodes["2"].outputs[0]] is None
    assert run.unknown == {"linear": 1}
