"""How a probe finds a way to run a model, and what it says where there is none."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import initadvisor
from initadvisor.errors import FormatError, LimitError, NotFoundError, TargetCodeError, UsageError
from tests.probe.digest import digest
from tests.probe.models import Counting


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))


def record(target: Any, *args: Any, **options: Any) -> dict[str, Any]:
    found = initadvisor.probe(target, *args, **options).probe
    assert found is not None
    return found


INPUTS, LABELS = torch.randn(8, 16), torch.arange(8)


@pytest.mark.parametrize(
    "batch",
    [(INPUTS, LABELS), [INPUTS, LABELS], DataLoader(TensorDataset(INPUTS, LABELS), batch_size=8)],
    ids=["tuple", "list", "loader"],
)
def test_labels_beside_the_inputs_are_the_targets(batch: Any) -> None:
    model = mlp()
    found = record(model, batch)
    model.train()
    assert found["losses"][0] == pytest.approx(float(nn.functional.cross_entropy(model(INPUTS), LABELS)))
    assert (found["synthetic"], found["samples"], found["loss"]) == (False, 8, "cross-entropy")


def test_the_given_loss_is_called_with_output_and_targets() -> None:
    model, wanted = mlp(), torch.randn(8, 10)
    found = record(model, (INPUTS, wanted), nn.SmoothL1Loss())
    assert found["losses"][0] == pytest.approx(float(nn.SmoothL1Loss()(model(INPUTS), wanted)))
    found = record(model, INPUTS, lambda output: output.square().mean())
    assert found["losses"][0] == pytest.approx(float(model(INPUTS).square().mean()))


def test_a_model_that_returns_its_loss_is_trained_on_it() -> None:
    @dataclass
    class Output:
        loss: torch.Tensor | None
        logits: torch.Tensor

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Output:
            logits = self.body(x)
            return Output(None if labels is None else nn.functional.cross_entropy(logits, labels), logits)

    found = record(Model(), {"x": INPUTS, "labels": LABELS})
    assert found["loss"] == "the loss that the model returns"
    assert found["losses"][-1] < found["losses"][0]


def test_without_a_batch_the_report_says_what_was_made_up() -> None:
    report = initadvisor.probe(mlp(), input_shape=(4, 16))
    assert any("standard normal" in note for note in report.coverage.notes)
    assert any("drawn targets" in note and "SGD at 0.01, none was given" in note for note in report.coverage.notes)


class Taking(nn.Linear):
    """Has memory for `room` samples; with activations thrown away (`recomputed`), for any number."""

    room, recomputed = 0, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        saved = self.recomputed and any("checkpoint.py" in frame.filename for frame in inspect.stack(0))
        if len(x) > self.room and not saved:
            raise torch.OutOfMemoryError("out of memory, on purpose")
        return super().forward(x)


def hungry(room: int, recomputed: bool = False) -> nn.Module:
    model = nn.Sequential(Taking(16, 16), nn.ReLU(), Taking(16, 10))
    for layer in (model[0], model[2]):
        layer.room, layer.recomputed = room, recomputed
    return model


def test_a_lack_of_memory_is_answered_by_half_the_batch() -> None:
    model = hungry(3)
    before = digest(model)
    report = initadvisor.probe(model, input_shape=(16, 16))
    assert report.probe is not None
    assert report.probe["samples"] == 2
    assert any("memory ran out with 4 samples: ran with 2" in note for note in report.coverage.notes)
    assert digest(model) == before


def test_then_by_recomputing_activations_and_every_layer_is_still_seen() -> None:
    report = initadvisor.probe(hungry(0, recomputed=True), input_shape=(8, 16))
    assert report.probe is not None
    assert any("recomputed" in note for note in report.coverage.notes)
    layers = report.probe["layers"]
    assert set(layers) == {"0", "2"}
    assert all(layer["calls"] == 1 and layer["gradient_rms"] > 0 for layer in layers.values())


def test_then_by_a_clear_error() -> None:
    model = hungry(0)
    before = digest(model)
    with pytest.raises(LimitError, match=r"memory of cpu ran out even with 1 sample \(probe on another device"):
        initadvisor.probe(model, input_shape=(8, 16))
    assert digest(model) == before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_changes_the_numbers_a_little_and_scaled_gradients_are_told_unscaled(precision: Any) -> None:
    full, cast = (record(mlp(), (INPUTS, LABELS), precision=p) for p in ("float32", precision))
    assert cast["losses"] == pytest.approx(full["losses"], rel=2e-2)
    assert cast["losses"] != full["losses"]
    for name, layer in full["layers"].items():
        assert cast["layers"][name]["gradient_rms"] == pytest.approx(layer["gradient_rms"], rel=5e-2)
    assert cast["model"]["gradient_norm"] == pytest.approx(full["model"]["gradient_norm"], rel=5e-2)


def test_a_compiled_model_is_probed_as_what_it_compiles() -> None:
    model = mlp()
    assert record(torch.compile(model), INPUTS)["losses"] == record(model, INPUTS)["losses"]


def test_a_device_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot run on the device 'tpu9'"):
        initadvisor.probe(mlp(), INPUTS, device="tpu9")


def test_a_model_without_numbers_is_refused() -> None:
    with torch.device("meta"):
        model = nn.Linear(16, 10)
    with pytest.raises(LimitError, match="without numbers"):
        initadvisor.probe(model, input_shape=(4, 16))


def test_code_of_the_model_that_raises_is_told_with_its_place() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("not today")

    with pytest.raises(TargetCodeError, match=r"ValueError: not today at .*test_run\.py"):
        initadvisor.probe(Broken(), INPUTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1}, "2 steps or more"),
        ({"seeds": 0}, "one batch at least"),
        ({"precision": "int4"}, "no precision"),
        ({"loss": 3}, "cannot be called"),
        ({"accumulate": 3, "batch": torch.randn(2, 16)}, "cannot be split"),
    ],
)
def test_settings_that_make_no_sense_are_usage_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        initadvisor.probe(mlp(), **{"batch": INPUTS, **options})


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(UsageError, match="no parameter of this model"):
        initadvisor.probe(mlp(), INPUTS, optimizer=torch.optim.SGD(mlp().parameters(), 0.1))


def test_a_file_of_weights_is_not_probed_and_a_missing_graph_is_said() -> None:
    with pytest.raises(FormatError, match="a probe runs a torch module or an ONNX graph"):
        initadvisor.probe("model.safetensors")
    with pytest.raises(NotFoundError, match="there is no file"):
        initadvisor.probe("model.onnx")


def test_several_seeds_give_the_spread() -> None:
    found = record(mlp(), input_shape=(8, 16), seeds=3)
    assert found["seeds"] == 3
    loss = found["spread"]["loss"]
    assert loss["min"] < loss["median"] < loss["max"]


def test_state_of_the_model_does_not_leak_from_one_seed_to_the_next() -> None:
    torch.manual_seed(0)
    model = Counting()
    both = record(model, input_shape=(8, 8), seeds=2)
    assert record(model, input_shape=(8, 8), seed=0)["losses"] == both["losses"]
