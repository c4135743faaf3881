"""Runs side by side: same batches, same numbers each time, a module that is as before, failures that are results."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.compare.model import Comparison
from initadvisor.errors import FormatError, LimitError, NotFoundError, TargetCodeError, UsageError
from tests.compare import models
from tests.probe.digest import digest
from tests.probe.models import Counting


@cache
def plain() -> Comparison:
    """One comparison that several tests look at."""
    return initadvisor.compare(models.relu, inits="default,he,xavier", steps=40, lr=[0.003, 0.03])


def test_the_result_holds_every_run_and_shows_the_rate_of_the_lowest_training_loss() -> None:
    found = plain()
    assert {result.name for result in found.inits} == {"default", "he", "xavier"}
    for result in found.inits:
        assert [run.learning_rate for run in result.runs] == [0.003, 0.03]
        losses = {run.learning_rate: run.final_train_loss for run in result.runs}
        assert result.learning_rate == min(losses, key=lambda rate: losses[rate])
        assert result.train_loss == pytest.approx(losses[result.learning_rate])
        assert result.shown is not None
        assert result.score == result.shown.final_score == result.shown.curve.score[-1]


def test_the_best_comes_first_and_the_conclusion_has_the_numbers() -> None:
    found = plain()
    scores = [result.score for result in found.inits]
    assert scores == sorted(scores, reverse=True)
    for result in found.inits:
        assert result.name in found.conclusion
        assert f"{result.score:.1%}" in found.conclusion
        assert f"{result.learning_rate:g}" in found.conclusion


def test_a_curve_starts_before_training_and_ends_at_the_last_step() -> None:
    run = plain()["he"].shown
    assert run is not None
    assert run.curve.steps[0] == 0
    assert run.curve.steps[-1] == run.steps == 40
    assert run.curve.train_loss[0] is None
    assert run.curve.loss[-1] < run.curve.loss[0]
    # The default start fades away over eight layers: equal probabilities, which cost ln 10.
    faded = plain()["default"].shown
    assert faded is not None
    assert faded.curve.loss[0] == pytest.approx(np.log(10), abs=0.03)


def test_the_same_comparison_gives_the_same_numbers() -> None:
    again = initadvisor.compare(models.relu, inits="default,he,xavier", steps=40, lr=[0.003, 0.03])

    def without_time(found: Comparison) -> object:
        return [[run.model_copy(update={"seconds": 0}) for run in result.runs] for result in found.inits]

    assert without_time(again) == without_time(plain())


def test_neither_the_order_nor_the_company_of_an_initialization_matters() -> None:
    alone = initadvisor.compare(models.relu, inits="xavier", steps=40, lr=0.03)["xavier"].runs[0]
    among = next(run for run in plain()["xavier"].runs if run.learning_rate == 0.03)
    assert alone.curve == among.curve
    assert alone.start == among.start


@pytest.mark.parametrize("factory", [models.normed, models.convolutional, models.LastState], ids=["bn", "conv", "lstm"])
def test_a_given_module_and_the_process_are_as_before(factory: type[nn.Module]) -> None:
    torch.manual_seed(1)
    module = factory()
    random.seed(2)
    before = digest(module)
    found = initadvisor.compare(module, inits="default,he,lsuv", steps=3, lr=0.1)
    assert digest(module) == before
    assert all(result.status == "trained" for result in found.inits), found.conclusion


class _Flat(Counting):
    """A module with state in lists, numbers and a generator, on tables of 8 columns."""


def test_state_outside_of_tensors_is_put_back_between_runs_too() -> None:
    x = np.random.default_rng(0).normal(size=(40, 8))
    data = (x, (x[:, 0] > 0).astype(int))
    module = _Flat()
    before = digest(module)
    found = initadvisor.compare(module, inits="default,as-is", data=data, steps=5, lr=0.1)
    assert digest(module) == before
    assert found["default"].runs[0].curve == found["as-is"].runs[0].curve


def test_as_is_trains_the_weights_that_are_there() -> None:
    torch.manual_seed(5)
    module = models.relu()
    found = initadvisor.compare(module, inits="as-is", steps=1, lr=0.01)["as-is"]
    rms = float(module[2].weight.detach().square().mean().sqrt())
    layer = next(layer for layer in found.runs[0].start if layer.name == "2")
    assert layer.weight_rms == pytest.approx(rms, rel=1e-5)


def test_seeds_draw_anew_and_have_a_spread() -> None:
    found = initadvisor.compare(models.relu, inits="default,he", steps=20, lr=0.01, seeds=3)
    for result in found.inits:
        assert [run.seed for run in result.runs] == [0, 1, 2]
        starts = {run.start[0].weight_rms for run in result.runs}
        assert len(starts) == 3
        scores = [run.final_score for run in result.runs]
        assert result.score == pytest.approx(np.mean(scores))
        assert result.score_std == pytest.approx(np.std(scores, ddof=1))


def test_a_run_that_diverges_is_a_result_and_comes_last() -> None:
    found = initadvisor.compare(models.relu, inits="normal:std=30,he", steps=30, lr=0.1)
    assert [result.status for result in found.inits] == ["trained", "diverged"]
    lost = found.inits[-1]
    assert lost.score is None
    assert lost.runs[0].steps < 30
    assert lost.runs[0].end == ()
    assert f"diverged after {lost.runs[0].steps} step" in found.conclusion
    assert Comparison.model_validate_json(found.to_json()) == found


def test_weights_that_are_nan_are_a_result_too() -> None:
    module = models.relu()
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    found = initadvisor.compare(module, inits="as-is,he", steps=5, lr=0.01)
    assert found["as-is"].status == "diverged"
    assert found["as-is"].runs[0].start[0].rms is None
    assert found["he"].status == "trained"
    assert "nan" not in found.to_json().lower()


def test_recommended_is_what_advise_says() -> None:
    found = initadvisor.compare(models.relu, inits="recommended", steps=1, lr=0.01)
    layer = next(layer for layer in found["recommended"].runs[0].start if layer.name == "4")
    model = models.relu()
    plan = initadvisor.advise(model, input_shape=(2, 64))
    initadvisor.apply(model, plan)
    assert layer.weight_rms == pytest.approx(float(model[4].weight.detach().square().mean().sqrt()), rel=1e-5)


def test_an_interrupt_gives_what_was_done() -> None:
    calls: Iterator[int] = iter(range(1000))

    def interrupt(stage: str, done: int = 0, total: int = 0) -> None:
        if stage.startswith("xavier") and next(calls) > 3:
            raise KeyboardInterrupt

    module = models.relu()
    before = digest(module)
    found = initadvisor.compare(module, inits="he,xavier,default", steps=40, lr=0.01, progress=interrupt)
    assert digest(module) == before
    assert found.interrupted
    assert found["he"].status == "trained"
    assert found["xavier"].status == "interrupted"
    assert 0 < found["xavier"].runs[0].steps < 40
    assert found["default"].status == "not_run"
    assert "Interrupted" in found.to_text()


def test_an_interrupt_before_anything_ran_is_passed_on() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        initadvisor.compare(models.relu, inits="he", steps=5, progress=interrupt)


def test_a_method_that_fits_no_layer_is_said_beside_those_that_do() -> None:
    found = initadvisor.compare(models.tapering, inits="he,hippo_legs", steps=2, lr=0.01)
    refused = found["hippo_legs"]
    assert refused.status == "not_run"
    assert "56x64" in refused.reason
    with pytest.raises(UsageError, match="none of the initializations fits"):
        initadvisor.compare(models.tapering, inits="hippo_legs", steps=2)


def test_a_method_that_fits_some_layers_says_which_it_left() -> None:
    found = initadvisor.compare(models.relu, inits="hippo_legs", steps=1, lr=0.001)
    assert any("0, 14" in note for note in found.notes)


def test_more_outputs_than_classes_are_fine_and_fewer_are_refused() -> None:
    found = initadvisor.compare(lambda: models.stack(nn.ReLU, outputs=12), inits="he", steps=2, lr=0.01)
    assert any("12 outputs for 10 classes" in note for note in found.data.notes)
    with pytest.raises(UsageError, match="5 outputs and digits has 10 classes"):
        initadvisor.compare(lambda: models.stack(nn.ReLU, outputs=5), inits="he", steps=2)


def test_a_regression_is_scored_by_r2() -> None:
    x = np.random.default_rng(0).normal(size=(400, 5))
    found = initadvisor.compare(
        lambda: nn.Linear(5, 1), data=(x, x @ np.arange(5.0)), inits="he,zeros", steps=300, lr=0.1
    )
    assert found.data.task == "regression"
    for result in found.inits:
        assert result.score == pytest.approx(1.0, abs=1e-3)
    assert "R²" in found.conclusion
    zero = found["zeros"].shown
    assert zero is not None
    # Nothing but zero: the held-out mean squared error over the variance, less than a percent from no skill.
    assert zero.curve.score[0] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (3, FormatError),
        ("model.onnx", FormatError),
        ("no.such.module:factory", NotFoundError),
        (lambda: 3, FormatError),
        (lambda: 1 / 0, TargetCodeError),
        (lambda: nn.Sequential(nn.LazyLinear(10)), UsageError),
        (lambda: nn.Linear(64, 10, device="meta"), LimitError),
        (lambda: nn.Sequential(nn.Linear(64, 10).requires_grad_(False)), UsageError),
        (lambda: nn.Linear(7, 10), UsageError),
        (lambda: nn.Embedding(5, 10), UsageError),
    ],
)
def test_a_target_that_cannot_be_trained_is_refused(target: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        initadvisor.compare(target, inits="he", steps=2)


class _Fails(nn.Module):
    """Raises once it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 2 and self.training:
            raise RuntimeError("only for inference")
        return self.layer(x)


def test_code_that_raises_while_training_is_the_users_error() -> None:
    with pytest.raises(TargetCodeError, match="only for inference"):
        initadvisor.compare(_Fails(), inits="he", steps=2)


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"lr": -1.0}, {"lr": float("nan")}, {"optimizer": "lion"}, {"schedule": "step"}, {"seeds": 0},
     {"seeds": [1, 1]}, {"batch_size": 0}, {"device": "tpu9"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        initadvisor.compare(models.relu, inits="he", **{"steps": 2, **settings})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_cosine_schedule_ends_where_nothing_moves(optimizer: str) -> None:
    found = initadvisor.compare(models.relu, inits="he", steps=40, lr=0.01, optimizer=optimizer, schedule="cosine")
    losses = found["he"].runs[0].curve.loss
    assert losses[-1] < losses[0]
    assert abs(losses[-1] - losses[-2]) < 0.02 * abs(losses[0] - losses[-1])
