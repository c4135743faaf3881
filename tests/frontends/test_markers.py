"""Marks on modules: what they say, and what they survive."""

from __future__ import annotations

import copy
import datetime
import pickle

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import UsageError
from initadvisor.frontends.markers import markers_of


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    with torch.no_grad():
        for index in (0, 2):
            model[index].weight.fill_(0.01)
    return model


def _places(report: initadvisor.Report) -> set[str]:
    return {finding.subject.name for finding in report.findings}


def test_a_mark_accepts_its_module_alone_and_the_report_lists_it() -> None:
    plain = initadvisor.check(_model(), select=["IA003", "IA004", "IA005", "IA1"])
    assert {"0", "2"} & {name.split(".")[0] for name in _places(plain)} == {"0", "2"}
    model = _model()
    assert initadvisor.suppress(model[0], reason="a constant on purpose") is model[0]
    report = initadvisor.check(model, select=["IA003", "IA004", "IA005", "IA1"])
    assert not [name for name in _places(report) if name.split(".")[0] == "0"]
    assert [name for name in _places(report) if name.split(".")[0] == "2"]
    assert report.summary.suppressed == len(report.suppressed) > 0
    assert {(s.kind, s.reason, s.origin) for s in report.suppressed} == {
        ("module", "a constant on purpose", "a mark on 0")
    }
    assert {s.finding.fingerprint for s in report.suppressed} | {f.fingerprint for f in report.findings} == {
        f.fingerprint for f in plain.findings
    }


def test_a_mark_survives_copies_and_is_no_part_of_the_state() -> None:
    model = _model()
    keys = list(model.state_dict())
    initadvisor.suppress(model[0], "IA003", reason="x", expires="2027-01-31")
    initadvisor.suppress(model[0], "IA1", reason="y", expires=datetime.date(2027, 2, 1))
    model.load_state_dict(model.state_dict())
    assert list(model.state_dict()) == keys
    for same in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        marks = list(markers_of(same))
        assert [(m.rules, m.reason, m.expires) for m in marks] == [
            (("IA003",), "x", "2027-01-31"),
            (("IA1",), "y", "2027-02-01"),
        ]
        assert all(m.from_code and m.layers == ("0", "0.*") for m in marks)


def test_a_mark_on_the_whole_model_reaches_through_a_wrapper_and_names_are_no_globs() -> None:
    model = nn.ModuleDict({"[ab]*": nn.Linear(2, 2)})
    initadvisor.suppress(nn.DataParallel(model), reason="x")
    initadvisor.suppress(model["[ab]*"], reason="y")
    assert [m.layers for m in markers_of(model)] == [("*",), ("[[]ab][*]", "[[]ab][*].*")]


@pytest.mark.parametrize(
    ("module", "rules", "options", "message"),
    [
        (nn.Linear(2, 2), (), {"reason": " "}, "needs a reason"),
        (nn.Linear(2, 2), (), {"reason": 3}, "needs a reason"),
        (nn.Linear(2, 2), (3,), {"reason": "x"}, "named by texts"),
        (nn.Linear(2, 2), (), {"reason": "x", "expires": "soon"}, "a date such as"),
        (3, (), {"reason": "x"}, "cannot mark an object of type int"),
    ],
)
def test_a_mark_that_says_nothing_is_refused(
    module: object, rules: tuple[str], options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        initadvisor.suppress(module, *rules, **options)


def test_a_probe_heeds_marks_too() -> None:
    def model() -> nn.Module:
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
        with torch.no_grad():
            made[0].weight.mul_(1e6)
        return made

    plain = initadvisor.probe(model(), torch.randn(8, 16), steps=2, device="cpu")
    assert plain.findings
    marked = initadvisor.suppress(model(), reason="on purpose")
    report = initadvisor.probe(marked, torch.randn(8, 16), steps=2, device="cpu")
    assert (report.findings, report.verdict) == ((), "clean")
    assert {s.kind for s in report.suppressed} == {"module"}
