"""Was it really loaded? Nets trained on digits, loaded whole, in part, not at all, and drawn over again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from initadvisor import check
from initadvisor.report import Report


def net(classes: int = 10) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(64, 192), nn.ReLU()]
    for _ in range(10):
        layers += [nn.Linear(192, 192), nn.LayerNorm(192), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(192, classes))


WEIGHTS = [f"{i}.weight" for i in (0, *range(2, 32, 3))]
"""The matrices of the backbone in order."""


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    torch.manual_seed(0)
    model, data = net(), load_digits()
    inputs, labels = torch.tensor(data.data, dtype=torch.float32) / 8 - 1, torch.tensor(data.target)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(200):
        batch = torch.randint(len(labels), (64,))
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5
    return model


def transfer_findings(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.rule.startswith("IA7"):
            found.setdefault(finding.rule, []).append(finding.subject.name)
    return found


def judged(model: nn.Module, **said: object) -> dict[str, list[str]]:
    return transfer_findings(check(model, select=["IA7"], input_shape=(2, 64), **said))  # type: ignore[arg-type]


def changed(trained: nn.Sequential, edit: Callable[[nn.Sequential], None]) -> nn.Sequential:
    model = copy.deepcopy(trained)
    torch.manual_seed(7)
    with torch.no_grad():
        edit(model)
    return model


def redraw(*layers: int) -> Callable[[nn.Sequential], None]:
    def edit(model: nn.Sequential) -> None:
        for layer in layers:
            model[layer].reset_parameters()  # type: ignore[operator]

    return edit


def test_a_model_that_was_loaded_whole_is_clean(trained: nn.Sequential) -> None:
    assert judged(trained) == {}
    assert judged(trained, expect="pretrained", classes=10) == {}


def test_a_model_without_its_checkpoint_is_found_out_where_it_claims_one() -> None:
    torch.manual_seed(1)
    model = net()
    assert judged(model) == {}
    assert judged(model, expect="pretrained") == {"IA701": [""]}


@pytest.mark.parametrize("layers", [(0, 2, 5, 8), (14, 17, 20)])
def test_a_part_that_was_not_loaded_is_counted(trained: nn.Sequential, layers: tuple[int, ...]) -> None:
    model = changed(trained, redraw(*layers))
    assert judged(model) == {"IA702": [""]}
    report = check(model, select=["IA702"], input_shape=(2, 64))
    assert f"{len(layers)} of the 11 weights" in report.findings[0].message
    assert f"the first is {layers[0]}:" in report.findings[0].message


def test_one_layer_drawn_again_is_named(trained: nn.Sequential) -> None:
    assert judged(changed(trained, redraw(11))) == {"IA704": ["11"]}


def test_what_a_task_adds_behind_the_backbone_is_no_gap(trained: nn.Sequential) -> None:
    torch.manual_seed(2)
    model = nn.Sequential(
        *trained[:-1], nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 4)
    )
    assert judged(model) == {}
    assert judged(model, expect="pretrained", classes=4) == {}


def test_a_head_of_other_classes_is_found_where_the_task_is_known(trained: nn.Sequential) -> None:
    assert judged(trained, classes=4) == {"IA703": ["32"]}


def test_a_matrix_that_reads_as_zeros_was_never_filled(trained: nn.Sequential) -> None:
    model = changed(trained, lambda m: nn.init.zeros_(m[8].weight))  # type: ignore[arg-type,return-value]
    assert judged(model) == {"IA705": ["8.weight"]}


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_recognised(trained: nn.Sequential, bits: int) -> None:
    def round_(model: nn.Sequential) -> None:
        for layer in model:
            if isinstance(layer, nn.Linear):
                step = layer.weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
                layer.weight.copy_((layer.weight / step).round() * step)

    found = judged(changed(trained, round_))
    assert set(found) == {"IA707"}
    assert set(WEIGHTS) <= set(found["IA707"])


def test_an_average_with_batch_norms_is_recognised() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    model = torch.optim.swa_utils.AveragedModel(inner)
    for _ in range(3):
        model.update_parameters(inner)
    assert judged(model) == {"IA706": [""]}


@pytest.mark.parametrize("name", ["torchvision:squeezenet1_1", "torchvision:mobilenet_v3_small"])
def test_models_at_random_init_are_clean_unless_they_claim_more(name: str) -> None:
    assert transfer_findings(check(name, select=["IA7"])) == {}


def test_a_state_dict_is_judged_by_the_order_of_its_entries(trained: nn.Sequential, tmp_path: Path) -> None:
    whole, part, none = tmp_path / "whole.safetensors", tmp_path / "part.safetensors", tmp_path / "none.safetensors"
    torch.manual_seed(3)
    save_file(trained.state_dict(), whole)
    save_file(changed(trained, redraw(0, 2, 5)).state_dict(), part)
    save_file(net().state_dict(), none)
    found = {
        file.stem: transfer_findings(check(file, select=["IA7"], expect="pretrained")) for file in (whole, part, none)
    }
    assert found == {"whole": {}, "part": {"IA702": [""]}, "none": {"IA701": [""]}}


def test_half_precision_of_a_loaded_model_is_no_fault(trained: nn.Sequential, tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        file = tmp_path / f"{dtype}.safetensors"
        save_file({name: value.to(dtype) for name, value in trained.state_dict().items()}, file)
        assert transfer_findings(check(file, select=["IA7"], expect="pretrained")) == {}
