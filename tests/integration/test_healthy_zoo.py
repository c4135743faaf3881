"""Stock models at their own random initialization: a linter that cries wolf is uninstalled."""

from __future__ import annotations

import inspect
import statistics

import pytest
import torch
import torchvision

from initadvisor.engine import Checker
from initadvisor.report import Report

SAMPLE = (
    "alexnet",
    "vgg11",
    "resnet18",
    "densenet121",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "swin_t",
    "vit_b_16",
    "squeezenet1_1",
    "raft_small",
    "ssdlite320_mobilenet_v3_large",
)
"""One of each way to be drawn: defaults, fan_out, fixed std, truncated, depthwise, LayerScale, prior biases."""


def build(name: str) -> torch.nn.Module:
    """A torchvision model without any pretrained part."""
    builder = torchvision.models.get_model_builder(name)
    absent = {"weights": None}
    if "weights_backbone" in inspect.signature(builder).parameters:
        absent["weights_backbone"] = None
    torch.manual_seed(0)
    return builder(**absent)


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker()


def _without_error(report: Report) -> None:
    errors = [f"{f.rule} {f.subject.name}: {f.message}" for f in report.findings if f.severity == "error"]
    assert not errors, "\n".join(errors)
    assert report.verdict != "not_checked", report.error


@pytest.mark.parametrize("name", SAMPLE)
def test_a_stock_model_has_no_error(checker: Checker, name: str) -> None:
    report = checker.check(build(name))
    _without_error(report)
    assert report.coverage.parameters > 0.99


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_torchvision_model_has_an_error_and_most_have_few_warnings(checker: Checker) -> None:
    names = torchvision.models.list_models()
    warnings: dict[str, int] = {}
    for name in names:
        report = checker.check(build(name))
        _without_error(report)
        warnings[name] = report.summary.warning
    assert len(names) >= 121
    assert statistics.median(warnings.values()) <= 2
