"""Measured values against closed forms and independent references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.probe.batch import Batch
from initadvisor.probe.gradients import twin_share
from initadvisor.probe.observation import Observation
from initadvisor.probe.run import run
from initadvisor.probe.sample import MAX_ELEMENTS, STATISTICS, layout, sample_grams, statistics
from initadvisor.probe.settings import ProbeSettings
from initadvisor.probe.site import Site
from initadvisor.probe.spectrum import effective_rank, mean_cosine


def by_name(sample: torch.Tensor, activation: str = "") -> dict[str, float]:
    return dict(zip(STATISTICS, statistics(sample, activation).tolist(), strict=True))


@pytest.mark.parametrize(("shape", "axis"), [((8, 16), -1), ((4, 5, 16), -1), ((4, 16, 6, 7), 1), ((4, 16, 3), 1)])
def test_moments_are_those_of_the_tensor(shape: tuple[int, ...], axis: int) -> None:
    torch.manual_seed(0)
    tensor = torch.randn(shape) * 3 + 1
    sample = layout(tensor, axis)
    assert sample is not None
    assert sample.shape[:2] == (shape[0], 16)
    got = by_name(sample)
    wide = tensor.double()
    assert got["absmax"] == pytest.approx(float(wide.abs().max()))
    assert got["mean"] * got["absmax"] == pytest.approx(float(wide.mean()), rel=1e-5)
    assert got["second"] * got["absmax"] ** 2 == pytest.approx(float(wide.square().mean()), rel=1e-5)
    assert got["unit_variance"] * got["absmax"] ** 2 == pytest.approx(float(wide.var(0).mean()), rel=1e-5)


def test_a_large_output_is_cut_down_to_whole_rows_of_every_sample_and_unit() -> None:
    sample = layout(torch.randn(8, 64, 128, 96), 1)
    assert sample is not None
    assert sample.shape[:2] == (8, 64)
    assert sample.numel() <= MAX_ELEMENTS
    assert sample.shape[2] % 96 == 0


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_squares_neither_overflow_nor_vanish(scale: float) -> None:
    torch.manual_seed(0)
    sample = torch.randn(8, 16, 1)
    assert by_name(sample * scale)["second"] == pytest.approx(by_name(sample)["second"], rel=1e-4)


def test_a_bias_common_to_all_samples_is_no_difference_between_them() -> None:
    torch.manual_seed(0)
    noise = torch.randn(8, 16, 1)
    got = by_name(1000 + noise)
    assert got["unit_variance"] * got["absmax"] ** 2 == pytest.approx(float(noise.var(0).mean()), rel=1e-2)


def test_dead_and_saturated_units_are_counted() -> None:
    sample = torch.full((8, 4, 50), -1.0)
    sample[:, 0] = 1.0
    sample[0, 1, 0] = 1.0  # once in 400: less than 1%
    assert by_name(sample, "relu")["dead_units"] == pytest.approx(0.75)
    sample = torch.zeros(8, 4, 50)
    sample[:, 0], sample[:, 1], sample[:, 2, :10] = 12.0, 3.0, 12.0
    got = by_name(sample, "tanh")
    assert got["saturated_units"] == pytest.approx(0.25)
    assert got["flat_units"] == pytest.approx(0.5)
    assert got["saturated_share"] == pytest.approx((1 + 1 + 0.2) / 4)
    assert math.isnan(by_name(sample, "relu")["saturated_units"])


@pytest.mark.parametrize("count", [4, 8, 16])
def test_orthogonal_samples_span_all_directions_and_equal_ones_a_single_one(count: int) -> None:
    sample = torch.eye(count).unsqueeze(2)
    grams = sample_grams(sample).double().numpy()
    assert mean_cosine(grams[0]) == pytest.approx(0.0, abs=1e-6)
    assert effective_rank(grams) == pytest.approx(count - 1, rel=1e-3)
    same = sample_grams(torch.ones(count, 32, 1)).double().numpy()
    assert mean_cosine(same[0]) == pytest.approx(1.0)
    assert effective_rank(same) == 1.0
    line = sample_grams(torch.linspace(-1, 1, count).view(-1, 1, 1) * torch.ones(count, 32, 1)).double().numpy()
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-3)


def test_twin_units_need_equal_weights_and_equal_gradients() -> None:
    w, g = torch.randn(64), torch.randn(64)
    assert twin_share(w, g) == 0.0
    assert twin_share(torch.ones(64), g) == 0.0
    assert twin_share(torch.ones(64), torch.ones(64)) == pytest.approx(63 / 64)
    assert twin_share(torch.ones(64), torch.zeros(64)) == 0.0


def observed(module: nn.Module, x: torch.Tensor, y: torch.Tensor | None, **settings: object) -> Observation:
    sites = [Site(n, n, f"{n}.weight") for n, m in module.named_modules() if isinstance(m, nn.Linear)]
    loss = None if y is not None else (lambda out: 0.5 * out.square().sum(1).mean())
    return run(module, sites, [Batch((x,), {}, y, size=len(x))], loss, ProbeSettings(**settings))  # type: ignore[arg-type]


def test_gradients_and_updates_are_those_of_plain_training() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 10))
    x, y = torch.randn(8, 16), torch.randint(0, 10, (8,))
    seen = observed(model, x, y, steps=2)
    assert seen.parameters is not None
    hidden = model[0](x)
    hidden.retain_grad()
    loss = nn.functional.cross_entropy(model[2](model[1](hidden)), y)
    loss.backward()
    assert seen.losses[0] == pytest.approx(loss.item())
    assert seen.seen[0][0].gradient_norm == pytest.approx(float(hidden.grad.norm()), rel=1e-5)  # type: ignore[union-attr]
    for i, (name, parameter) in enumerate(model.named_parameters()):
        assert parameter.grad is not None
        assert seen.parameters.names[i] == name
        assert seen.parameters.l2[0, i] == pytest.approx(float(parameter.grad.norm()), rel=1e-5)
        assert seen.parameters.l1[0, i] == pytest.approx(float(parameter.grad.abs().sum()), rel=1e-5)
        ratio = 0.01 * float(parameter.grad.norm() / parameter.detach().norm())
        assert seen.parameters.update[0, i] == pytest.approx(ratio, rel=1e-3)


def test_gradients_of_accumulated_parts_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 10))
    x, y = torch.randn(8, 16), torch.randint(0, 10, (8,))
    whole, parts = observed(model, x, y), observed(model, x, y, accumulate=4)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
    assert whole.parameters is not None
    assert parts.parameters is not None
    np.testing.assert_allclose(parts.parameters.l2, whole.parameters.l2, rtol=1e-4)


def test_singular_values_of_a_linear_model_are_those_of_its_matrix() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 12, bias=False))
    found = observed(model, torch.randn(4, 12), None, jacobian=True).requested
    values = np.linalg.svd(model[0].weight.detach().double().numpy())[1]
    assert found["jacobian_largest"] == pytest.approx(values[0], rel=2e-2)
    # Hutchinson's estimate from 8 directions: relative deviation sqrt(2 sum s^4 / 8) / sum s^2 of the square.
    deviation = np.sqrt(2 * (values**4).sum() / 8) / (values**2).sum()
    assert found["jacobian_rms"] ** 2 == pytest.approx((values**2).mean(), rel=4 * deviation)


def test_sharpness_of_least_squares_is_the_largest_eigenvalue_of_the_covariance() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 3, bias=False))
    x = torch.randn(32, 6) * torch.tensor([4.0, 1, 1, 1, 1, 1])
    found = observed(model, x, None, sharpness=True).requested
    # The loss is sum |W x|^2 / 2n: its Hessian is the covariance of x, once for each output.
    largest = np.linalg.eigvalsh((x.T @ x / len(x)).double().numpy())[-1]
    assert found["sharpness"] == pytest.approx(largest, rel=1e-2)


def test_gradient_noise_is_none_where_all_samples_are_the_same_and_large_for_drawn_labels() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 10))
    same, label = torch.randn(1, 16).expand(8, 16), torch.zeros(8, dtype=torch.long)
    assert observed(model, same, label, noise=True).requested["noise_scale"] == pytest.approx(0.0, abs=1e-4)
    x, y = torch.randn(8, 16), torch.randint(0, 10, (8,))
    gradients = []
    for i in range(8):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        gradients.append(torch.cat([p.grad.flatten().double() for p in model.parameters()]))  # type: ignore[union-attr]
    pairs = torch.stack(gradients).view(4, 2, -1).mean(1)
    whole, small = float(pairs.mean(0).square().sum()), float(pairs.square().sum(1).mean())
    signal, trace = (8 * whole - 2 * small) / 6, (small - whole) / (1 / 2 - 1 / 8)
    found = observed(model, x, y, noise=True).requested
    if signal > 0:
        assert found["noise_scale"] == pytest.approx(trace / signal, rel=1e-3)
    else:
        assert "noise_scale" not in found


def test_attention_entropy_is_one_where_queries_are_zero() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    nn.init.zeros_(layer.self_attn.in_proj_weight[:16])
    nn.init.zeros_(layer.self_attn.in_proj_weight)
    report = initadvisor.probe(nn.Sequential(layer, nn.Linear(16, 4)), input_shape=(4, 6, 16))
    assert report.probe is not None
    assert report.probe["attention"][0]["module"] == "0.self_attn"
    assert report.probe["attention"][0]["entropy"] == pytest.approx(1.0, abs=1e-5)


class _Scaled(nn.Module):
    """A head whose output is multiplied afterwards."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.net(x)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 250.0])
def test_the_size_of_the_input_and_what_is_multiplied_behind_the_last_layer(factor: float) -> None:
    torch.manual_seed(0)
    inputs = 3 * torch.randn(32, 8)
    record = initadvisor.probe(_Scaled(factor), (inputs, torch.randint(0, 4, (32,))), nn.functional.cross_entropy).probe
    assert record is not None
    assert record["model"]["input_rms"] == pytest.approx(float(inputs.double().square().mean()) ** 0.5, rel=1e-5)
    assert record["model"]["output_gain"] == pytest.approx(factor, rel=1e-4)


def test_token_ids_have_no_size() -> None:
    model = nn.Sequential(nn.Embedding(7, 8), nn.Flatten(), nn.Linear(40, 3))
    batch = (torch.randint(0, 7, (6, 5)), torch.randint(0, 3, (6,)))
    record = initadvisor.probe(model, batch, nn.functional.cross_entropy).probe
    assert record is not None
    assert "input_rms" not in record["model"] or record["model"]["input_rms"] is None


def test_a_first_step_that_goes_too_far_leaves_the_look_ahead_from_the_start() -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(16, 1), torch.randn(64, 16)
    report = initadvisor.probe(
        model,
        (inputs, inputs.sum(1, keepdim=True)),
        lookahead=True,
        steps=40,
        optimizer=lambda ps: torch.optim.SGD(ps, 1e3),
    )
    assert report.probe is not None
    assert report.probe["model"]["nonfinite"] is True
    assert report.probe["model"]["nonfinite_step"] > 0
    assert report.probe["model"]["lookahead_ratio"] < 0.5


@pytest.mark.parametrize(("learns", "most"), [(True, 60), (False, 154)])
def test_a_look_ahead_ends_once_a_batch_is_known_by_heart(learns: bool, most: int) -> None:
    calls = []

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            return self.layer(x) if learns else self.layer(x) * 0 + self.layer.bias

    torch.manual_seed(0)
    y = torch.randint(0, 2, (64,))
    x = 5.0 * (2.0 * y - 1).unsqueeze(1).expand(64, 4)
    report = initadvisor.probe(Counted(), (x, y), lookahead=True)
    assert report.probe is not None
    ratio = report.probe["model"]["lookahead_ratio"]
    assert (ratio <= 1e-3) is learns
    assert (len(calls) > 100) is not learns
    assert len(calls) <= most + 20  # the steps of the probe itself, and the recording
