"""Findings that do not count: kept apart, never lost, and never a way to look checked."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.accepting import baselined, settle
from initadvisor.errors import UsageError
from initadvisor.graph import Coverage, Graph, Marker
from initadvisor.rules import Judgement, discover
from initadvisor.rules.baseline import baseline_of
from initadvisor.rules.suppressions import Suppression
from tests.cli.models import poisoned
from tests.report.samples import finding, report

RULES = list(discover([], packs=False))
TODAY = datetime.date(2026, 11, 21)
FOUND = Judgement([finding("IA101", "a"), finding("IA102", "b")], [], 3)


def _graph(*markers: Marker) -> Graph:
    return Graph("m", "torch", coverage=Coverage("virtual"), markers=list(markers))


def test_configuration_and_code_are_obeyed_and_a_file_only_on_request() -> None:
    graph = _graph(Marker(("a",), "mine", from_code=True), Marker(("b",), "theirs"))
    for obey, left in ((False, ["b"]), (True, [])):
        judgement, accepted = settle(FOUND, graph, (), RULES, RULES, obey_model=obey, today=TODAY)
        assert [f.subject.name for f in judgement.findings] == left
        assert judgement.ok == FOUND.ok
        assert len(judgement.findings) + len(accepted.suppressed) == len(FOUND.findings)
        assert bool(accepted.notes) is not obey


def test_unused_speaks_of_rules_that_ran_alone_and_expired_of_what_would_have_covered() -> None:
    given = [
        Suppression(("z",), "idle"),
        Suppression(("z",), "of rules that did not run", ("IA6",)),
        Suppression(("a",), "over", expires=TODAY - datetime.timedelta(days=1)),
    ]
    ran = [rule for rule in RULES if rule.id.startswith("IA1")]
    judgement, accepted = settle(FOUND, _graph(), given, ran, RULES, today=TODAY)
    assert len(judgement.findings) == 2
    assert accepted.unused == ("every rule on z (configuration)",)
    assert accepted.expired == ("every rule on a (configuration)",)


def test_a_checker_like_another_judges_as_one_of_its_own(tmp_path: Path) -> None:
    path, first = poisoned(tmp_path / "m.onnx", gain=0.1), Checker()
    first.check(path)
    graded = CheckSettings(severity={"IA001": "info"}, params={"IA101.low": 0.01})
    alone, like = Checker(graded).check(path), Checker(graded, like=first)
    assert like.check(path) == alone
    assert like.known is first.known
    assert first.check(path).summary.error > alone.summary.error


def test_a_misspelt_rule_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match='names "IA9999"'):
        Checker(CheckSettings(suppressions=[Suppression(("*",), "x", ("IA9999",))]))


def test_accepting_everything_is_no_way_around_not_being_checked(tmp_path: Path) -> None:
    settings = CheckSettings(suppressions=[Suppression(("*",), "all")])
    report = Checker(settings).check(poisoned(tmp_path / "m.onnx"))
    assert (report.verdict, report.summary.error, report.summary.suppressed) == ("clean", 0, 1)
    missing = Checker(settings).not_checked("x", ValueError("broken"))
    assert missing.verdict == "not_checked"


def test_the_digest_of_settings_tells_suppressions_apart() -> None:
    plain, one = CheckSettings(), CheckSettings(suppressions=[Suppression(("*",), "all")])
    trusting, graded = CheckSettings(model_suppressions=True), CheckSettings(severity={"IA101": "info"})
    assert len({Checker(each).settings_digest for each in (plain, one, trusting, graded)}) == 4


def test_the_baseline_takes_what_it_holds_and_no_more() -> None:
    old, new = finding("IA101", "a"), finding("IA101", "b", "warning")
    base = baseline_of({"gpt": [old]})
    done = baselined(report(old, new), base, "gpt", "base.json")
    assert done.findings == (new,)
    assert (done.summary.error, done.summary.warning, done.summary.baselined) == (0, 1, 1)
    assert [(s.finding, s.kind, s.origin) for s in done.suppressed] == [(old, "baseline", "base.json")]
    assert baselined(report(old), base, "gpt", "base.json").verdict == "clean"
    assert baselined(report(old), base, "other", "base.json").verdict == "findings"
