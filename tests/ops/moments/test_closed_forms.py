"""Handlers against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initadvisor.ops.moments import Gradient
from initadvisor.ops.moments.activations import named, to_base
from initadvisor.ops.moments.axes import FEATURES, POSITIONS, SAMPLES, axis
from initadvisor.ops.moments.concentration import concentration
from initadvisor.ops.moments.signal import Signal
from tests.ops.moments.calls import IMAGES, ROWS, TOKENS, ahead, behind, flow, weight


def correlated(q: float, share: float) -> Signal:
    """Two samples have a given share of their variance in common."""
    return Signal(0.0, q, 0.0, 0.0, share * q, ROWS)


def arc_cosine(c: float) -> float:
    """E[relu(u) relu(v)] at unit variance (Cho & Saul 2009)."""
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)


@pytest.mark.parametrize("q", [1e-8, 0.3, 1.0, 7.0, 1e6])
def test_relu_halves_the_second_moment_at_every_scale(q: float) -> None:
    out = ahead("relu", flow(q=q))
    assert out.q == pytest.approx(q / 2, rel=1e-9)
    assert out.mean == pytest.approx(math.sqrt(q / (2 * math.pi)), rel=1e-9)
    assert to_base(out, Gradient(3.0)).q == pytest.approx(1.5, rel=1e-9)


@pytest.mark.parametrize("c", [-0.9, -0.3, 0.0, 0.4, 0.8, 0.95])
def test_relu_pairs_follow_the_arc_cosine_kernels(c: float) -> None:
    out = ahead("relu", correlated(2.0, c))
    assert out.samples == pytest.approx(2.0 * arc_cosine(c), abs=2e-4)
    back = to_base(out, Gradient(1.0, samples=1.0))
    assert back.samples == pytest.approx((math.pi - math.acos(c)) / (2 * math.pi), abs=6e-3)


def test_two_equal_inputs_stay_equal_behind_every_activation() -> None:
    for op in ("relu", "tanh", "gelu", "silu", "sigmoid", "selu", "mish", "hardswish", "softplus", "elu"):
        out = ahead(op, correlated(1.7, 1.0))
        assert out.samples == pytest.approx(out.q, rel=1e-9), op


@pytest.mark.parametrize("c", [-0.5, 0.0, 0.3, 0.9])
def test_the_error_function_has_the_arc_sine_kernel(c: float) -> None:
    """Williams 1997: E[erf(u) erf(v)] = 2/pi asin(2 k / (1 + 2 q))."""
    q = 1.3
    out = ahead("erf", correlated(q, c))
    assert out.samples == pytest.approx(2 / math.pi * math.asin(2 * c * q / (1 + 2 * q)), abs=1e-5)


@pytest.mark.parametrize("q", [0.2, 1.0, 4.0])
def test_sine_cosine_square_and_exponential(q: float) -> None:
    assert ahead("sin", flow(q=q)).q == pytest.approx((1 - math.exp(-2 * q)) / 2, rel=1e-9)
    assert ahead("cos", flow(q=q)).mean == pytest.approx(math.exp(-q / 2), rel=1e-9)
    assert ahead("square", flow(q=q)).q == pytest.approx(3 * q * q, rel=1e-9)
    assert ahead("exp", flow(q=q)).mean == pytest.approx(math.exp(q / 2), rel=1e-9)
    assert ahead("abs", flow(q=q)).mean == pytest.approx(math.sqrt(2 * q / math.pi), rel=1e-9)


@pytest.mark.parametrize("shape", [(64, 256), (16, 256), (512, 256)])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_linear_layer_multiplies_by_its_fan_in_forward_and_its_fan_out_back(
    shape: tuple[int, int], bias: float
) -> None:
    outputs, inputs = shape
    x, w = flow(0.5, 2.0), weight(0.1, outputs, inputs)
    b = weight(bias, outputs)
    out = ahead("linear", x, w, b, shape=(64, outputs), batch=64)
    assert out.q == pytest.approx(inputs * 0.01 * 2.0 + bias**2, rel=1e-9)
    assert out.mean == 0.0
    to_x, to_w, to_b = behind("linear", Gradient(1.0), x, w, b, shape=(64, outputs))
    assert to_x is not None
    assert to_w is not None
    assert to_b is not None
    assert to_x.q == pytest.approx(outputs * 0.01, rel=1e-9)
    assert to_w.q == pytest.approx(64 * 2.0, rel=1e-9)
    assert to_b.q == pytest.approx(64.0, rel=1e-9)


@pytest.mark.parametrize("size", [4, 7, 16])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (3, 0), (1, 0)])
def test_a_convolution_loses_the_taps_that_fall_on_zero_padding(size: int, kernel: int, padding: int) -> None:
    if kernel > size:
        return
    axes = (axis(SAMPLES, 8), axis(FEATURES, 16), axis(POSITIONS, size), axis(POSITIONS, size))
    out = size + 2 * padding - kernel + 1
    made = ahead(
        "conv",
        flow(axes=axes),
        weight(0.1, 32, 16, kernel, kernel),
        None,
        shape=(8, 32, out, out),
        stride=(1, 1),
        padding=(padding, padding),
        dilation=(1, 1),
        groups=1,
    )
    taps = sum(1 for o in range(out) for k in range(kernel) if 0 <= o + k - padding < size) / out
    assert made.q == pytest.approx(16 * taps**2 * 0.01, rel=1e-9)


@pytest.mark.parametrize(("gate", "square"), [("sigmoid", 0.293379), ("silu", 0.355776), ("gelu", 0.425222)])
def test_a_gated_product_of_independent_halves_multiplies_second_moments(gate: str, square: float) -> None:
    opened, value = ahead(gate, flow()), flow(q=3.0)
    assert ahead("mul", opened, value).q == pytest.approx(3.0 * square, rel=1e-5)


def test_glu_is_the_first_half_times_the_sigmoid_of_the_second() -> None:
    assert ahead("glu", flow(), shape=(64, 128), dim=-1).q == pytest.approx(0.293379, rel=1e-5)


@pytest.mark.parametrize(("kernel", "mean", "square"), [(1, 0.0, 1.0), (2, 1.029375, 1.551329)])
def test_max_pooling_takes_the_largest_of_independent_gaussians(kernel: int, mean: float, square: float) -> None:
    """E[max] and E[max^2] of 4 standard normals: 1.02938 and 1.55133 (David & Nagaraja, Order Statistics)."""
    side = 16 // kernel
    out = ahead(
        "max_pool", flow(axes=IMAGES), shape=(8, 64, side, side), kernel_size=(kernel,) * 2, stride=(kernel,) * 2
    )
    assert out.mean == pytest.approx(mean, abs=1e-5)
    assert out.q == pytest.approx(square, rel=1e-5)


@pytest.mark.parametrize("kernel", [2, 4, 8])
def test_average_pooling_divides_what_is_independent_and_keeps_what_is_common(kernel: int) -> None:
    x = Signal(0.5, 2.25, 0.25, 0.75, 0.25, IMAGES)
    side = 16 // kernel
    out = ahead("avg_pool", x, shape=(8, 64, side, side), kernel_size=(kernel,) * 2, stride=(kernel,) * 2)
    assert out.mean == pytest.approx(0.5)
    assert out.q == pytest.approx(0.75 + 1.5 / kernel**2, rel=1e-9)


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
def test_layer_norm_gives_unit_variance_and_divides_the_gradient_by_the_spread(q: float) -> None:
    x = flow(q=q, axes=TOKENS)
    out = ahead("layer_norm", x, None, None, normalized_shape=(64,), eps=1e-12)
    assert out.q == pytest.approx(1.0, rel=1e-6)
    (back, *_) = behind("layer_norm", Gradient(1.0), x, None, None, normalized_shape=(64,), eps=1e-12)
    assert back is not None
    # mean and radial component of 64 go; 1/v of 63 degrees of freedom is 63/61 steeper than 1/E[v]
    assert back.q == pytest.approx(62 / 63 / q, rel=0.06)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_rms_norm_keeps_the_mean_and_makes_the_second_moment_one(scale: float) -> None:
    x = flow(scale, 2 * scale**2, TOKENS)
    out = ahead("rms_norm", x, None, normalized_shape=(64,), eps=0.0)
    assert out.q == pytest.approx(1.0, rel=1e-9)
    assert out.mean == pytest.approx(math.sqrt(0.5), rel=1e-9)


def test_a_batch_norm_takes_away_what_all_samples_share() -> None:
    x = Signal(1.0, 5.0, 1.0, 3.0, 2.0, IMAGES)
    out = ahead("batch_norm", x, None, None, None, None, training=True, eps=0.0)
    assert out.mean == 0.0
    assert out.q == pytest.approx(1.0, rel=1e-9)
    assert out.samples < 0.01


@pytest.mark.parametrize("variance", [0.0, 0.25, 1.0, 4.0])
@pytest.mark.parametrize("n", [8, 64, 512])
def test_softmax_weights_concentrate_as_sampled(variance: float, n: int) -> None:
    rng = np.random.default_rng(0)
    logits = math.sqrt(variance) * rng.standard_normal((20000, n))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    assert concentration(variance, n) == pytest.approx(n * np.square(weights).sum(axis=1).mean(), rel=0.03)


def test_softmax_of_equal_logits_is_uniform() -> None:
    out = ahead("softmax", Signal(2.0, 4.0, 4.0, 4.0, 4.0, TOKENS), dim=-1)
    assert (out.mean, out.q) == pytest.approx((1 / 64, 1 / 64**2))


def test_a_sum_with_itself_and_with_a_stranger() -> None:
    x = flow()
    x.sources, x.value_id = {0: 1.0}, 0
    y = flow()
    y.sources, y.value_id = {1: 1.0}, 1
    assert ahead("add", x, x).q == pytest.approx(4.0)
    assert ahead("add", x, y).q == pytest.approx(2.0)
    assert ahead("sub", x, x).q == pytest.approx(0.0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_divides_the_second_moment_by_what_it_keeps(p: float) -> None:
    assert ahead("dropout", flow(q=2.0), p=p, training=True).q == pytest.approx(2.0 / (1 - p))
    assert ahead("dropout", flow(q=2.0), p=p, training=False).q == pytest.approx(2.0)


@pytest.mark.parametrize("dim", [-1, (2, 3), (0, 2, 3), None])
def test_a_mean_of_independent_elements_divides_by_their_number(dim: object) -> None:
    places = {-1: 16, (2, 3): 256, (0, 2, 3): 2048, None: 8 * 64 * 256}
    out = ahead("mean", flow(axes=IMAGES), shape=(1,), dim=dim)
    assert out.q == pytest.approx(1.0 / places[dim], rel=1e-9)  # type: ignore[index]
    total = ahead("sum", flow(axes=IMAGES), shape=(1,), dim=dim)
    assert total.q == pytest.approx(float(places[dim]), rel=1e-9)  # type: ignore[index]


def test_cross_entropy_starts_the_gradient_with_softmax_minus_one_hot() -> None:
    """At equal logits: (1/C)(1 - 1/C) over the square of the batch."""
    logits = flow(q=0.0, axes=(axis(SAMPLES, 32), axis(FEATURES, 10)))
    target = flow(axes=(axis(SAMPLES, 32),))
    assert ahead("cross_entropy", logits, target, shape=()).mean == pytest.approx(math.log(10))
    back = behind("cross_entropy", Gradient(1.0), logits, target, shape=())[0]
    assert back is not None
    assert back.q == pytest.approx(0.09 / 32**2)


def test_a_name_that_is_no_function_has_no_moments() -> None:
    assert named("conv", {}) is None


@pytest.mark.parametrize("n", [2, 4, 16, 512])
def test_steep_logits_concentrate_as_sampled_without_a_warning(n, recwarn):
    random = np.random.default_rng(0)
    for std in (1.0, 4.0, 12.0, 40.0):
        logits = std * random.standard_normal((8000, n))
        weights = np.exp(logits - logits.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        assert concentration(std * std, n) / n == pytest.approx(np.square(weights).sum(1).mean(), rel=0.03)
    assert concentration(1e300, n) / n == pytest.approx(1.0)
    assert not recwarn.list


@pytest.mark.parametrize("groups", [1, 4, 64])
def test_two_features_behind_a_group_norm_share_what_the_groups_take(groups: int) -> None:
    """Within a group of m the correlation is -1 / (m - 1), between groups none: over all pairs -1 / (C - 1)."""
    out = ahead("group_norm", flow(axes=ROWS), num_groups=groups)
    assert out.features == pytest.approx(-1 / 255, rel=1e-3)


@pytest.mark.parametrize("groups", [2, 4, 8])
def test_a_group_norm_of_spatial_maps_against_numbers(groups: int) -> None:
    """Maps whose channels all carry the same pattern of places, and a noise of their own."""
    axes = (axis(SAMPLES, 512), axis(FEATURES, 16), axis(POSITIONS, 9))
    out = ahead("group_norm", Signal(0.0, 3.0, 1.0, 0.5, 0.0, axes), num_groups=groups)
    rng = np.random.default_rng(0)
    # positions: .5 from what a channel adds everywhere; features: 1 from the pattern that all channels share.
    x = rng.normal(size=(512, 1, 9)) + math.sqrt(0.5) * rng.normal(size=(512, 16, 1))
    x = (x + math.sqrt(1.5) * rng.normal(size=(512, 16, 9))).reshape(512, groups, -1)
    y = ((x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)).reshape(512, 16, 9)
    pairs = ((y.sum(1) ** 2).sum() - (y**2).sum()) / (512 * 9 * 16 * 15)
    assert out.features == pytest.approx(pairs, rel=0.12)


def test_a_constant_signal_has_no_spread_to_expand_in() -> None:
    """A concatenation whose parts are one and the same number."""
    import warnings

    one = Signal(0.5, 0.25, 0.25, 0.25, 0.25, ROWS, atoms=(np.array([0.5]), np.array([1.0])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ahead("relu", one).q == pytest.approx(0.25)
