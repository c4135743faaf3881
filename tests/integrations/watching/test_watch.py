"""A watch in real training loops: what it finds, what it measures, and that the training does not notice it."""

from __future__ import annotations

import gc
import logging
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import FindingsError, UsageError
from initadvisor.integrations.outcome import InitWarning
from initadvisor.integrations.writers import TensorBoardWriter
from tests.integrations.models import bad, good
from tests.integrations.watching.loops import batches, train


def sgd(model: nn.Module, rate: float = 0.05) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9)


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_a_healthy_training_is_quiet_and_goes_as_it_would() -> None:
    plain, watched = good(), good()
    alone = train(plain, sgd(plain), 7)
    optimizer = sgd(watched)
    with warnings.catch_warnings(), initadvisor.watch(watched, optimizer, every=4) as watch:
        warnings.simplefilter("error", InitWarning)
        torch.manual_seed(5)
        before = torch.get_rng_state()
        assert train(watched, optimizer, 7) == alone
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    assert watch.report is not None
    assert watch.report.verdict == "clean"
    assert watch.report.probe is not None
    assert set(watch.report.probe["layers"]) == {"0", "2", "4"}


def test_hooks_are_there_on_watched_steps_only() -> None:
    model = good()
    optimizer = sgd(model)
    watch = initadvisor.watch(model, optimizer, every=5, on_finding="log")
    seen = []
    for step, (x, y) in enumerate(batches(11), start=1):
        if hooks(model):
            seen.append(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert seen == [1, 2, 4, 5, 9, 10]
    watch.close()
    watch.close()
    assert hooks(model) == 0
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_what_it_measures_is_what_autograd_and_the_optimizer_did() -> None:
    model = good()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with initadvisor.watch(model, optimizer, every=100, on_finding="log") as watch:
        for index, (x, y) in enumerate(batches(2)):
            optimizer.zero_grad()
            hidden = model[:3](x)
            hidden.retain_grad()
            output = model(x)
            nn.functional.cross_entropy(output, y).backward()
            if index == 0:
                weight, gradient = model[2].weight.detach().clone(), model[2].weight.grad.clone()
            last = model[2].weight.detach().norm(), model[2].weight.grad.norm()
            optimizer.step()
    assert watch.report is not None
    assert watch.report.probe is not None
    first = watch.report.probe["gradients"]["2.weight"]
    assert first["gradient_rms"] == pytest.approx(float(gradient.square().mean().sqrt()), rel=1e-5)
    assert first["gradient_to_weight"] == pytest.approx(float(gradient.norm() / weight.norm()), rel=1e-5)
    assert first["update_to_weight"] == pytest.approx(0.1 * float(last[1] / last[0]), rel=1e-3)


def test_findings_are_told_once_and_again_when_they_come_back() -> None:
    model = bad()
    optimizer = sgd(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with initadvisor.watch(model, optimizer, every=2):
            train(model, optimizer, 6)
    told = [str(w.message) for w in caught if w.category is InitWarning]
    assert len(told) == 1, "three windows saw the same"
    assert "trains badly at step 2" in told[0]
    assert "IA603" in told[0]


def test_a_gradient_that_is_not_finite_stops_the_training_where_asked() -> None:
    model = good()
    optimizer = sgd(model)
    watch = initadvisor.watch(model, optimizer, every=2, on_finding="raise")
    train(model, optimizer, 2)
    with torch.no_grad():
        model[2].weight[0, 0] = float("inf")
    with pytest.raises(FindingsError, match="IA601"):
        train(model, optimizer, 2)
    assert hooks(model) == 0
    assert watch.steps == 4


def test_dead_units_and_activations_in_place() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 10)
    )
    nn.init.constant_(model[2].bias, -50.0)
    optimizer = sgd(model, 1e-4)
    with initadvisor.watch(model, optimizer, on_finding="log") as watch:
        train(model, optimizer, 2)
    assert watch.report is not None
    assert ("IA615", "2") in {(f.rule, f.subject.name) for f in watch.report.findings}
    assert watch.report.probe is not None
    assert watch.report.probe["layers"]["2"]["dead_units"] == 1.0


def test_without_an_optimizer_the_loop_says_when_a_step_was_made() -> None:
    model = good()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with initadvisor.watch(model, every=3) as watch:
        for x, y in batches(6):
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            watch.step()
            optimizer.zero_grad()
        assert watch.steps == 6
        assert watch.report is not None
        assert watch.report.probe is not None
        assert watch.report.probe["gradients"]["2.weight"]["update_to_weight"] > 0
    fresh = initadvisor.watch(model)
    optimizer.zero_grad()
    with pytest.raises(UsageError, match="before zero_grad"):
        fresh.step()
    fresh.close()
    with initadvisor.watch(model, optimizer) as automatic, pytest.raises(UsageError, match="counts the steps itself"):
        automatic.step()


def test_gradient_accumulation_is_one_step() -> None:
    model = good()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with initadvisor.watch(model, optimizer, every=100) as watch:
        for index, (x, y) in enumerate(batches(4)):
            (nn.functional.cross_entropy(model(x), y) / 2).backward()
            if index % 2:
                total = model[0].weight.grad.norm()
                optimizer.step()
                optimizer.zero_grad()
    assert watch.steps == 2
    assert watch.report is not None
    assert watch.report.probe is not None
    rms = watch.report.probe["gradients"]["0.weight"]["gradient_rms_last"]
    assert rms == pytest.approx(float(total) / 64, rel=1e-5)
    assert watch.report.probe["layers"]["0"]["calls"] == 1


@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_scaler_is_taken_out_again(fused: bool) -> None:
    def run(scale: float) -> dict[str, float]:
        model = good()
        optimizer = torch.optim.SGD(model.parameters(), 0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=scale != 1.0)
        given = scaler if scale != 1.0 else None
        with initadvisor.watch(model, optimizer, every=100, scaler=given, on_finding="log") as watch:
            for x, y in batches(2):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16):
                    loss = nn.functional.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
        assert watch.report is not None
        assert watch.report.probe is not None
        found = watch.report.probe
        return {
            "parameter": found["gradients"]["2.weight"]["gradient_rms"],
            "output": found["layers"]["2"]["gradient_rms"],
            "update": found["gradients"]["2.weight"]["update_to_weight"],
        }

    assert run(1024.0) == pytest.approx(run(1.0), rel=0.02)


def test_a_compiled_model_shows_its_gradients_and_says_what_it_hides() -> None:
    model = good()
    compiled = torch.compile(model, backend="eager")
    optimizer = sgd(model)
    with initadvisor.watch(compiled, optimizer, every=100) as watch:
        assert hooks(model) == 0
        train(compiled, optimizer, 2)
    assert watch.report is not None
    assert any("compiled" in note for note in watch.report.coverage.notes)
    assert watch.report.probe is not None
    assert watch.report.probe["gradients"]["0.weight"]["gradient_rms"] > 0
    assert watch.report.probe["layers"] == {}


def test_a_model_whose_parts_are_called_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    model = good()
    optimizer = sgd(model)
    with caplog.at_level(logging.WARNING), initadvisor.watch(model, optimizer, on_finding="log") as watch:
        for x, y in batches(2):
            for part in model:
                x = part(x)
            nn.functional.cross_entropy(x, y).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert watch.report is not None
    assert any("no forward pass of the model itself" in note for note in watch.report.coverage.notes)
    assert watch.report.findings == ()


def test_curves_and_histograms_reach_the_writer(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = good()
    optimizer = sgd(model)
    writer = TensorBoardWriter(tmp_path)
    with initadvisor.watch(model, optimizer, every=4, writer=writer, histograms=True):
        train(model, optimizer, 8)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [e.step for e in events.Scalars("initadvisor/gradient_norm")] == [2, 4, 8]
    assert events.Scalars("initadvisor/update_to_weight/2.weight")[0].value > 0
    assert events.Histograms("initadvisor/gradients/0.weight")[0].histogram_value.num == 4096


def test_nothing_of_a_closed_watch_is_kept_alive_by_the_model() -> None:
    import weakref

    model = good()
    optimizer = sgd(model)
    watch = initadvisor.watch(model, optimizer)
    train(model, optimizer, 1)
    watch.close()
    gone = weakref.ref(watch)
    del watch
    gc.collect()
    assert gone() is None


def test_what_makes_no_sense_is_refused() -> None:
    model = good()
    with pytest.raises(UsageError, match="2 or more"):
        initadvisor.watch(model, every=1)
    with pytest.raises(UsageError, match="warn, raise, log"):
        initadvisor.watch(model, on_finding="cry")
    with pytest.raises(UsageError, match="error, warning, info"):
        initadvisor.watch(model, fail_on="cry")
