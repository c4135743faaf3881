"""The door for data: real sets, planted faults, and the caller's loader."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

import initadvisor
from initadvisor.errors import UsageError


def _rules(report: initadvisor.Report) -> set[str]:
    return {finding.rule for finding in report.findings}


def _standardised(name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (x - x.mean(0)) / (x.std(0) + 1e-9), y


@pytest.mark.parametrize("name", ["digits", "wine", "breast_cancer"])
@pytest.mark.parametrize("seed", range(3))
def test_standardised_real_data_split_at_random_has_no_warning(name: str, seed: int) -> None:
    x, y = _standardised(name)
    a, b, ya, yb = train_test_split(x, y, test_size=0.3, random_state=seed, shuffle=True)
    report = initadvisor.check_data((a, ya), (b, yb), classes=int(y.max()) + 1)
    assert not [f for f in report.findings if f.severity != "info"], [f.message for f in report.findings]
    assert report.verdict in ("clean", "findings")


def test_raw_wine_is_told_of_its_scales() -> None:
    x, y = datasets.load_wine(return_X_y=True)
    assert {"IA803", "IA805"} <= _rules(initadvisor.check_data((x, y)))


def test_data_in_class_order_is_told_from_a_shuffled_one() -> None:
    x, y = _standardised("digits")
    order = np.argsort(y)
    first, last = order[:160], order[-600:]
    report = initadvisor.check_data((x[first], y[first]), (x[last], y[last]))
    assert {"IA813", "IA814"} <= _rules(report)


def test_a_loader_is_read_and_its_samples_stay_as_they_are() -> None:
    x = torch.randn(64, 8)
    before = x.clone()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.arange(64) % 4), batch_size=16)
    report = initadvisor.check_data(loader, classes=3)
    assert _rules(report) == {"IA811"}
    assert torch.equal(x, before)
    assert report.findings[0].subject.name == "labels"


def test_rules_can_be_chosen_and_parameters_set() -> None:
    x = torch.rand(64, 8) + 5
    assert _rules(initadvisor.check_data(x, select=["IA802"])) == {"IA802"}
    assert not _rules(initadvisor.check_data(x, params={"IA802.most": 1000.0}))


def test_no_batch_rule_runs_in_a_check_of_a_model() -> None:
    report = initadvisor.check(torch.nn.Linear(4, 4))
    assert not [row for row in report.not_evaluated if row.rule.startswith("IA8")]


def test_what_is_no_data_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        initadvisor.check_data(object())


def test_a_probe_judges_the_batch_that_it_is_given() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    labels = torch.arange(64) % 4
    wild = initadvisor.probe(model, (torch.randn(64, 8) * 100, labels), torch.nn.functional.cross_entropy)
    tame = initadvisor.probe(model, (torch.randn(64, 8), labels), torch.nn.functional.cross_entropy)
    assert "IA803" in _rules(wild)
    assert not {rule for rule in _rules(tame) if rule.startswith("IA8")}
