"""`assert_init_ok`: a check, and a probe on request, as an assertion of a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from initadvisor.report import Report
    from initadvisor.rules.rule import Severity

MAX_PLACES = 6
"""Layers named for one fault; the rest are counted."""


class InitNotOk(AssertionError):
    """A model does not start well; `reports` says all that was found."""

    def __init__(self, message: str, reports: Sequence[Report]) -> None:
        super().__init__(message)
        self.reports = tuple(reports)


def assert_init_ok(
    model: Any,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    fail_on: Severity = "error",
    batch: Any = None,
    loss: Any = None,
    probe: bool = False,
    params: Mapping[str, Any] | None = None,
) -> Report:
    """Assert that a model starts well, and give the report of the check; the model is as before.

    model: what `initadvisor.check` takes. fail_on: the mildest severity that fails ("error", "warning", "info").
    batch: an input, (inputs, targets), a dict or a data loader; it gives the check its shapes and the probe its data.
    probe: also run a few training steps with `loss`, and judge those. select, ignore, params: as for `check`.

    Raises InitNotOk, an AssertionError that lists the findings, and an InitAdvisorError where nothing could be checked.
    """
    __tracebackhide__ = True
    try:
        reports = reports_on(
            model, select=select, ignore=ignore, fail_on=fail_on, batch=batch, loss=loss, probe=probe, params=params
        )
    except InitAdvisorError as error:
        # The message says where; frames of this package and of torch below the test would bury it.
        raise error.with_traceback(None) from None
    message = complaint(reports, fail_on)
    if message:
        raise InitNotOk(message, reports)
    return reports[0]


def reports_on(
    model: Any,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    fail_on: str = "error",
    batch: Any = None,
    loss: Any = None,
    probe: bool = False,
    params: Mapping[str, Any] | None = None,
) -> list[Report]:
    """The report of the check, and of the probe where one was asked for; arguments as for `assert_init_ok`."""
    from initadvisor.engine import Checker, CheckSettings
    from initadvisor.frontends.options import LoadOptions
    from initadvisor.rules.rule import SEVERITIES

    if fail_on not in SEVERITIES:
        raise UsageError(f"fail_on is {fail_on!r}", hint=f"it is one of {', '.join(SEVERITIES)}")
    if loss is not None and not probe:
        raise UsageError("a loss is of no use to a check, which runs nothing", hint="give probe=True as well")
    load = LoadOptions(example=None if batch is None else _example(model, batch, loss))
    settings = CheckSettings(select=tuple(select), ignore=tuple(ignore), params=dict(params or {}), load=load)
    reports = [Checker(settings).check(model)]
    if probe:
        from initadvisor.engine.probing import make_prober

        reports.append(make_prober(settings).probe(model, batch, loss))
    return reports


def _example(model: Any, batch: Any, loss: Any) -> Any:
    """The part of a batch that a forward pass takes; None for a target that is no live module."""
    if isinstance(model, str) or not hasattr(model, "forward"):
        return None
    from initadvisor.probe.batch import given

    first = next(given(model, batch, with_targets=loss is not None), None)
    if first is None:
        raise UsageError(f"a batch of type {type(batch).__name__} cannot be used", hint="give tensors")
    return (first.args, dict(first.kwargs)) if first.kwargs else first.args


def complaint(reports: Sequence[Report], fail_on: Severity, what: str = "does not start well") -> str:
    """What is wrong, over several lines; "" where nothing at or above a severity was found and all was checked."""
    bad = [r for r in reports if r.failing(fail_on) or r.verdict == "not_checked"]
    return "\n\n".join(_lines(report, fail_on, what) for report in bad)


def _lines(report: Report, fail_on: Severity, what: str) -> str:
    from initadvisor.report.escape import MAX_NAME, visible
    from initadvisor.report.text import advice_of, coverage_of, ordered, place_of, verdict_of
    from initadvisor.rules.rule import SEVERITIES

    lines = [f"{visible(report.target, MAX_NAME)} {what}: {verdict_of(report)}"]
    if report.verdict == "not_checked":
        lines = [f"{visible(report.target, MAX_NAME)}: {verdict_of(report)}"]
    grave = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    found = [finding for finding in ordered(report.findings) if finding.severity in grave]
    places: dict[tuple[str, str], list[str]] = {}
    for finding in found:
        places.setdefault((finding.rule, finding.message), []).append(place_of(finding.subject) or "the model")
    told: set[str] = set()
    for finding in found:
        where = places.pop((finding.rule, finding.message), None)
        if where is None:
            continue
        more = f" and {len(where) - MAX_PLACES} more" if len(where) > MAX_PLACES else ""
        lines.append(f"  {finding.severity} {finding.rule} {finding.name}: {', '.join(where[:MAX_PLACES])}{more}")
        lines.append(f"    {visible(finding.message)}")
        advice = advice_of(finding)
        if advice and finding.rule not in told:
            told.add(finding.rule)
            lines.append(f"    fix: {visible(advice)}")
    left = len(report.findings) - len(found)
    if left:
        lines.append(f"  and {left} milder than {fail_on}")
    lines.append(f"  {coverage_of(report)}; what a rule is about: initadvisor rule ID")
    return "\n".join(lines)
