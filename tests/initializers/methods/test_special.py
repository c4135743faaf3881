"""Methods with a formula of their own: each against the number that defines it."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.errors import UsageError
from initadvisor.initializers import InitSpec, Key


def draw(method: str, shape: tuple[int, ...], name: str = "w", **params: object) -> np.ndarray:
    return InitSpec(method, params).draw(shape, Key(0, name), dtype=np.float64)


def test_focal_prior_is_the_published_bias():
    assert draw("focal_prior", (3,)) == pytest.approx(-4.59512, abs=1e-5)
    with pytest.raises(UsageError, match="between 0 and 1"):
        draw("focal_prior", (3,), prior=1.0)


@given(st.floats(1e-6, 1 - 1e-6))
def test_a_prior_bias_gives_its_probability(prior):
    assert 1 / (1 + np.exp(-draw("focal_prior", (1,), prior=prior)[0])) == pytest.approx(prior, rel=1e-9)


def test_base_rate_starts_each_output_at_its_own_rate():
    rates = np.array([0.5, 0.01, 0.999])
    assert 1 / (1 + np.exp(-draw("base_rate", (3,), rates=rates.tolist()))) == pytest.approx(rates, rel=1e-9)
    with pytest.raises(UsageError, match="between 0 and 1"):
        draw("base_rate", (2,), rates=[0.5, 1.0])


def test_class_prior_starts_the_loss_at_the_entropy():
    """Acceptance: .871 against the ln 4 = 1.386 of a zero bias."""
    priors = np.array([0.7, 0.2, 0.05, 0.05])
    logits = draw("class_prior", (4,), priors=priors.tolist())
    loss = -(priors * (logits - np.log(np.exp(logits).sum()))).sum()
    assert loss == pytest.approx(0.871, abs=5e-4)
    assert np.exp(draw("class_prior", (3,), priors=[30, 50, 20])) == pytest.approx([0.3, 0.5, 0.2])


@pytest.mark.parametrize(("gates", "forget"), [("ifgo", slice(32, 64)), ("iofc", slice(64, 96))])
def test_the_forget_gate_alone_starts_at_one(gates, forget):
    bias = draw("lstm_bias", (128,), gates=gates)
    assert (bias[forget] == 1).all()
    assert bias.sum() == 32


@settings(deadline=None, max_examples=20)
@given(st.floats(3.0, 1e4), st.integers(1, 500))
def test_chrono_spreads_the_memory_between_two_steps_and_t_max(t_max, hidden):
    bias = draw("chrono_bias", (4 * hidden,), t_max=t_max).reshape(4, hidden)
    memory = 1 / (1 - 1 / (1 + np.exp(-bias[1])))
    assert (memory >= 2 - 1e-9).all()
    assert (memory <= t_max * (1 + 1e-9)).all()
    assert (bias[0] == -bias[1]).all()
    assert not bias[2:].any()


def test_hippo_has_the_eigenvalues_minus_one_to_minus_n():
    eigenvalues = np.sort(np.linalg.eigvals(draw("hippo_legs", (16, 16))).real)[::-1]
    assert eigenvalues == pytest.approx(-np.arange(1, 17), rel=1e-6)
    a = draw("hippo_legs", (4, 4))
    assert a[2, 1] == pytest.approx(-sqrt(15))
    assert a[1, 2] == 0
    assert draw("hippo_input", (4,)) == pytest.approx(np.sqrt([1, 3, 5, 7]))


def test_s4d_diagonals():
    assert -np.exp(draw("s4d_log_real", (4,))) == pytest.approx(-0.5)
    assert draw("s4d_imaginary", (2, 4))[1] == pytest.approx(pi * np.arange(4))
    assert draw("s4d_real", (4,)).tolist() == [-1, -2, -3, -4]


def test_mamba_decay_and_step_size():
    assert np.exp(draw("mamba_a_log", (5, 16)))[3] == pytest.approx(np.arange(1, 17))
    dt = np.log1p(np.exp(draw("mamba_dt_bias", (20_000,))))
    assert dt.min() >= 1e-3 * (1 - 1e-9)
    assert dt.max() <= 0.1 * (1 + 1e-9)
    # Log-uniform: half of it below the geometric mean.
    assert np.mean(dt < 0.01) == pytest.approx(0.5, abs=0.02)
    rates = np.exp(draw("mamba2_a_log", (20_000,)))
    assert 1 <= rates.min() < 1.01
    assert 15.99 < rates.max() <= 16


def test_mimetic_value_and_output_multiply_to_a_noisy_negative_identity():
    """Acceptance: the diagonal of the product has mean -.394 at width 192 (-.4 by the formula)."""
    value = draw("mimetic_value_output", (192, 192), "v", part="value", stream="block.0")
    output = draw("mimetic_value_output", (192, 192), "o", part="output", stream="block.0")
    product = output @ value
    assert np.diagonal(product).mean() == pytest.approx(-0.4, abs=0.01)
    noise = product + 0.4 * np.eye(192)
    assert noise.std() == pytest.approx(0.4 / sqrt(192), rel=0.02)
    other = draw("mimetic_value_output", (192, 192), "v", part="value", stream="block.1")
    assert not np.allclose(value, other)


def test_mimetic_query_and_key_agree_on_a_positive_diagonal_in_every_head():
    heads, d = 3, 96
    query = draw("mimetic_query_key", (d, d), "q", part="query", stream="block.0", heads=heads)
    key = draw("mimetic_query_key", (d, d), "k", part="key", stream="block.0", heads=heads)
    for q, k in zip(query.reshape(heads, -1, d), key.reshape(heads, -1, d), strict=True):
        product = q.T @ k
        assert np.trace(product) / d > 0.2
        assert np.linalg.matrix_rank(product) == d // heads


def test_standardised_rows_have_mean_zero_and_the_variance_exactly():
    weight = draw("standardised_normal", (32, 16, 3, 3), gain=1.7).reshape(32, -1)
    assert np.abs(weight.mean(axis=1)).max() < 1e-15
    assert weight.var(axis=1) == pytest.approx(1.7**2 / 144)
    assert np.abs(draw("standardised_normal", (8, 1))) == pytest.approx(1.0)


def test_normalizer_free_relu_stack_keeps_unit_variance():
    """Acceptance: output variance .996 through gain sqrt(2 / (1 - 1/pi)) ReLU layers with standardised rows."""
    x = np.random.default_rng(0).standard_normal((512, 512))
    for i in range(10):
        x = np.maximum(x, 0) @ draw("standardised_normal", (512, 512), f"w{i}", gain=sqrt(2 / (1 - 1 / pi))).T
    assert x.var() == pytest.approx(1.0, abs=0.1)


def test_siren_settles_at_its_own_fixed_point():
    """q = 1 - exp(-2q) = .7968: the pre-activation variance of the hidden layers."""
    x = np.random.default_rng(0).uniform(-1, 1, (4000, 2))
    q = np.square(z := 30 * x @ draw("siren_first", (256, 2)).T).mean()
    for i in range(6):
        z = 30 * np.sin(z) @ draw("siren", (256, 256), f"w{i}").T
        q = np.square(z).mean()
    assert q == pytest.approx(0.7968, rel=0.05)
    assert pytest.approx(1 - exp(-2 * 0.7968), abs=1e-4) == 0.7968


def test_fourier_features_have_second_moment_one_half():
    x = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    phase = 2 * pi * x @ draw("fourier_features", (128, 2), sigma=10.0).T
    assert np.square(np.concatenate([np.sin(phase), np.cos(phase)], axis=1)).mean() == pytest.approx(0.5, abs=1e-9)


def test_a_router_starts_with_small_logits():
    x = np.random.default_rng(0).standard_normal((1000, 512))
    logits = x @ draw("moe_router", (8, 512)).T
    assert logits.std() == pytest.approx(sqrt(0.1), rel=0.1)
    assert np.abs(draw("moe_router", (8, 512))).max() <= 2 * sqrt(0.1 / 512) / 0.8796


@pytest.mark.parametrize(("fan_in", "mean"), [(4, -1.0), (8, -1.0), (100, -0.08)])
def test_negative_mean_normal(fan_in, mean):
    weight = draw("negative_mean_normal", (1000, fan_in))
    assert weight.mean() == pytest.approx(mean, abs=0.01)
    assert weight.std() == pytest.approx(0.1, rel=0.05)


def test_lora_starts_as_no_change():
    a, b = draw("lora_a", (8, 256), "a"), draw("lora_b", (128, 8), "b")
    assert not (b @ a).any()
    assert a.std() == pytest.approx(1 / sqrt(3 * 256), rel=0.05)
    assert draw("lora_a_gaussian", (8, 256), rank=8).std() == pytest.approx(1 / 8, rel=0.05)


def test_transformer_normals():
    assert InitSpec("small_init", {"width": 768}).std((768, 768)) == pytest.approx(sqrt(2 / (5 * 768)))
    assert InitSpec("wang_init", {"width": 768, "layers": 12}).std((768, 768)) == pytest.approx(2 / 12 / sqrt(768))
    assert np.abs(draw("small_embedding", (1000, 64))).max() < 1e-4


def test_blocks_are_drawn_with_the_fans_of_the_part():
    """A fused q, k, v drawn by Xavier as a whole has a std .7071 times that of its parts."""
    part = {"method": "xavier_uniform"}
    blocks = [{"name": n, "start": 64 * i, "stop": 64 * (i + 1), "spec": part} for i, n in enumerate("qkv")]
    fused = InitSpec("xavier_uniform").std((192, 64))
    split = InitSpec("blocks", {"axis": 0, "blocks": blocks})
    assert fused / split.std((192, 64)) == pytest.approx(sqrt(0.5), rel=1e-4)
    weight = split.draw((192, 64), Key(0, "w"))
    assert not np.allclose(weight[:64], weight[64:128])
    assert (weight[64:128] == InitSpec("xavier_uniform").draw((64, 64), Key(0, "w").child("k"))).all()
