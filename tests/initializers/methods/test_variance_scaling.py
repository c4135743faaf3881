"""LeCun, Xavier, He and variance scaling: variance times fan, and what the network then does."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec, Key

LINEAR = Layout((0,), (1,))


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["normal", "uniform", "truncated_normal"]),
    st.sampled_from(["fan_in", "fan_out", "fan_avg", "fan_geo"]),
    st.floats(1e-3, 1e3),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(0, 2**64),
)
def test_variance_times_fan_is_the_scale(distribution, mode, scale, out, in_, seed):
    spec = InitSpec("variance_scaling", {"scale": scale, "mode": mode, "distribution": distribution})
    fan = {"fan_in": in_, "fan_out": out, "fan_avg": (in_ + out) / 2, "fan_geo": sqrt(in_ * out)}[mode]
    assert spec.std((out, in_)) ** 2 * fan == pytest.approx(scale)
    drawn = spec.draw((out, in_), Key(seed, "w"), LINEAR, np.float64)
    assert np.mean(drawn**2) * fan == pytest.approx(scale, rel=9 / sqrt(drawn.size))
    if distribution == "truncated_normal":
        assert np.abs(drawn).max() <= 2.0 / 0.8796 * spec.std((out, in_))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("lecun_normal", 1 / 512),
        ("lecun_uniform", 1 / 512),
        ("lecun_truncated_normal", 1 / 512),
        ("xavier_normal", 2 / 768),
        ("xavier_uniform", 2 / 768),
        ("xavier_truncated_normal", 2 / 768),
        ("kaiming_normal", 2 / 512),
        ("kaiming_uniform", 2 / 512),
        ("kaiming_truncated_normal", 2 / 512),
        ("pytorch_default", 1 / (3 * 512)),
    ],
)
def test_named_methods_have_their_published_variance(name, variance):
    drawn = InitSpec(name).draw((256, 512), Key(0, "w"), LINEAR, np.float64)
    assert drawn.var() == pytest.approx(variance, rel=0.02)
    assert InitSpec(name).std((256, 512)) == pytest.approx(sqrt(variance), rel=1e-9)


def test_he_follows_the_negative_slope_and_the_mode():
    assert InitSpec("kaiming_normal", {"negative_slope": 0.5}).std((3, 8)) == pytest.approx(sqrt(2 / 1.25 / 8))
    assert InitSpec("kaiming_normal", {"mode": "fan_out"}).std((3, 8)) == pytest.approx(sqrt(2 / 3))


def test_the_textbook_slip_of_xavier_normal_would_triple_the_variance():
    assert InitSpec("xavier_normal").std((10, 10)) ** 2 * 3 == pytest.approx(6 / 20)


def test_he_keeps_the_second_moment_through_thirty_relu_layers():
    """Acceptance: E[a^2] ratio 1 a layer; the mean over seeds, as one net of width n wanders by sqrt(5 L / n)."""
    logs = []
    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((64, 256))
        start = np.mean(x**2)
        for i in range(30):
            x = np.maximum(x @ InitSpec("kaiming_normal").draw((256, 256), Key(seed, str(i)), LINEAR, np.float64).T, 0)
        logs.append(np.mean(x**2) / start)
    # The input is not rectified: the first layer halves nothing, so E[a^2] is half of E[z^2] = 1 x 2 / 2.
    assert np.mean(logs) == pytest.approx(1.0, rel=0.5)
    assert np.median(np.log(logs)) / 30 == pytest.approx(0, abs=0.03)


CONVOLUTIONS = {
    "conv": (torch.nn.Conv2d(16, 32, 3, bias=False), Layout((0,), (1,))),
    "grouped": (torch.nn.Conv2d(32, 64, 3, groups=4, bias=False), Layout((0,), (1,), groups=4)),
    "depthwise": (torch.nn.Conv2d(64, 64, 3, groups=64, bias=False), Layout((0,), (1,), groups=64)),
    "strided": (torch.nn.Conv2d(16, 32, 3, stride=2, bias=False), Layout((0,), (1,), stride=4)),
    "transposed": (
        torch.nn.ConvTranspose2d(64, 32, 4, stride=2, bias=False),
        Layout((1,), (0,), stride=4, transposed=True),
    ),
    "transposed grouped": (
        torch.nn.ConvTranspose2d(64, 64, 4, stride=2, groups=4, bias=False),
        Layout((1,), (0,), groups=4, stride=4, transposed=True),
    ),
    "pointwise 1d": (torch.nn.Conv1d(64, 32, 1, bias=False), Layout((0,), (1,))),
    "3d": (torch.nn.Conv3d(4, 64, 3, bias=False), Layout((0,), (1,))),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_lecun_gives_every_kind_of_convolution_unit_output_variance(name):
    module, layout = CONVOLUTIONS[name]
    shape = tuple(module.weight.shape)
    variances = []
    for seed in range(12):
        weight = InitSpec("lecun_normal").draw(shape, Key(seed, name), layout)
        channels = module.in_channels
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(4, channels, *[24 if len(shape) < 5 else 12] * (len(shape) - 2), generator=generator)
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(weight))
            y = module(x)
        interior = y[(..., *[slice(4, -4)] * (len(shape) - 2))] if module.kernel_size[0] > 1 else y
        variances.append(float(interior.square().mean()))
    assert np.mean(variances) == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("name", ["conv", "grouped", "strided", "transposed", "transposed grouped"])
def test_fan_out_keeps_the_gradient(name):
    module, layout = CONVOLUTIONS[name]
    variances = []
    for seed in range(12):
        weight = InitSpec("variance_scaling", {"mode": "fan_out", "distribution": "normal"}).draw(
            tuple(module.weight.shape), Key(seed, name), layout
        )
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(weight))
        x = torch.randn(4, module.in_channels, 17, 17, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        y = module(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)))
        # 4..12 is a whole number of strides, and far from the edges.
        variances.append(float(x.grad[..., 4:12, 4:12].square().mean()))
    assert np.mean(variances) == pytest.approx(1.0, rel=0.06)


def test_a_stored_transpose_has_the_same_fans():
    assert InitSpec("kaiming_normal").std((64, 8), Layout((1,), (0,))) == InitSpec("kaiming_normal").std(
        (8, 64), LINEAR
    )


def test_the_unit_forward_of_an_embedding_ignores_the_vocabulary():
    layout = Layout((1,), (), batch_axes=(0,))
    assert InitSpec("lecun_normal").std((50_000, 64), layout) == 1.0
