"""The risk that training fails: the arithmetic of a table, and what a table must say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from initadvisor.analysis.risk import TRANSFORMS, Scale, Term, read
from initadvisor.errors import RuleError

TABLE = """
[probe]
intercept = -1.0
needs = ["a"]
fresh = 0.5
terms = [{ fact = "a", transform = "log", low = -4, high = 0, unknown = -1, weight = -2.0 }]
"""


def scale(text: str, folder: Path) -> Scale:
    path = folder / "risk.toml"
    path.write_text(text)
    return read(path)["probe"]


@pytest.mark.parametrize(("value", "t"), [(1.0, 0.0), (0.01, -2.0), (1e-9, -4.0), (0.0, -4.0), (50.0, 0.0)])
def test_the_risk_is_the_logistic_of_the_held_terms(value: float, t: float, tmp_path: Path) -> None:
    assert scale(TABLE, tmp_path).risk({"a": value}) == pytest.approx(1 / (1 + math.exp(1.0 + 2.0 * t)))


def test_an_unknown_fact_is_stood_in_for_and_a_needed_one_is_not() -> None:
    term = Term("b", "value", 0.0, 1.0, 0.25, 4.0)
    assert Scale(0.0, (term,), (), 0.0).risk({}) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert term.of({"b": float("nan")}) == term.of({}) == 1.0
    assert Scale(0.0, (term,), ("b",), 0.0).risk({}) is None


def test_nothing_is_said_of_trained_weights(tmp_path: Path) -> None:
    assert scale(TABLE, tmp_path).risk({"a": 1.0, "model.fresh": 0.4}) is None
    assert scale(TABLE, tmp_path).risk({"a": 1.0, "model.fresh": 0.6}) is not None


def test_extremes_do_not_overflow() -> None:
    steep = Scale(0.0, (Term("a", "value", -1e9, 1e9, 0.0, 1.0),), (), 0.0)
    assert steep.risk({"a": float("inf")}) == pytest.approx(1.0)
    assert steep.risk({"a": -1e9}) == pytest.approx(0.0, abs=1e-20)


def test_transforms() -> None:
    assert TRANSFORMS["distance"](0.01) == TRANSFORMS["distance"](100.0) == 2.0
    assert TRANSFORMS["apart"](0.999) == pytest.approx(-3.0)
    assert TRANSFORMS["apart"](1.0) == TRANSFORMS["log"](0.0) == -30.0


@pytest.mark.parametrize("text", ["[probe]\nintercept = 1.0", "[probe", TABLE.replace('"log"', '"root"'), "probe = 3"])
def test_a_table_that_says_too_little_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="risk"):
        scale(text, tmp_path)


def test_the_table_that_ships_is_monotone_and_rests_on_several_statistics() -> None:
    folder = Path(__file__).parents[2] / "rules"
    scales = read(folder / "risk.toml")
    assert set(scales) == {"signal", "probe", "lookahead"}
    for one in scales.values():
        assert len({term.fact for term in one.terms}) >= 3
    worse = {"model.probe.gradient_ratio": 1e-9, "model.probe.smallest_gradient": 1e-12, "model.probe.logit_std": 1e-9}
    fine = {"model.probe.gradient_ratio": 1.0, "model.probe.smallest_gradient": 1e-2, "model.probe.logit_std": 1.0}
    known = {"model.probe.steps": 3.0, "model.probe.nonfinite": False}
    risks = [
        scales["probe"].risk({**known, **facts}) for facts in (fine, {**fine, **dict([*worse.items()][:1])}, worse)
    ]
    assert risks == sorted(risks)  # type: ignore[type-var]
    assert risks[0] != risks[-1]
