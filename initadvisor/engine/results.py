"""From judgements to the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.accepting import Accepted, counts
from initadvisor.engine.explaining import signal_rows
from initadvisor.errors import InitAdvisorError
from initadvisor.report.model import CoverageRow, Explanation, Problem, Report, Risk, Summary, Tool
from initadvisor.rules import Judgement
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.engine.look import View
    from initadvisor.graph import Graph
    from initadvisor.plan import Override


def report_of(
    graph: Graph,
    view: View,
    judgement: Judgement,
    settings_digest: str,
    command: str | None = None,
    explanation: Explanation | None = None,
    *,
    accepted: Accepted | None = None,
    preset: str | None = None,
    policy: Sequence[Override] = (),
) -> Report:
    """The report of a target that was examined.

    command: what fixes it, where something can. preset, policy: what the user wants weights to be drawn from.
    accepted: findings that do not count.
    """
    accepted = accepted or Accepted()
    from initadvisor.engine.advice import advised

    findings, layers = advised(
        graph, view.measured, judgement.findings, view.layers, command, preset=preset, policy=policy
    )
    coverage = CoverageRow(
        parameters=min(1.0, graph.coverage.parameters),
        operators=min(1.0, graph.coverage.operators),
        capture=graph.coverage.capture,
        notes=tuple(clean_text(note) for note in (*graph.coverage.notes, *accepted.notes)),
    )
    target = clean_text(graph.target)
    problem = _problem(target, judgement, view.empty, len(accepted.suppressed), clean_text(graph.coverage.failure))
    return Report(
        tool=_tool(),
        target=target,
        verdict="findings" if findings else "not_checked" if problem else "clean",
        error=problem,
        summary=Summary(
            **counts(findings), not_evaluated=len(judgement.not_evaluated), suppressed=len(accepted.suppressed)
        ),
        coverage=coverage,
        findings=findings,
        suppressed=accepted.suppressed,
        unused_suppressions=accepted.unused,
        expired_suppressions=accepted.expired,
        not_evaluated=tuple(judgement.not_evaluated),
        layers=layers,
        signal=signal_rows(view.forecast),
        explanation=explanation,
        risk=_risk(view),
        settings_digest=settings_digest,
    )


def report_of_data(name: str, judgement: Judgement, notes: Sequence[str], settings_digest: str) -> Report:
    """The report on data: no model, so no layers and no share of it that was understood."""
    problem = _problem(name, judgement, "", 0)
    return Report(
        tool=_tool(),
        target=clean_text(name),
        verdict="findings" if judgement.findings else "not_checked" if problem else "clean",
        error=problem,
        summary=Summary(**counts(judgement.findings), not_evaluated=len(judgement.not_evaluated)),
        coverage=CoverageRow(parameters=1.0, operators=1.0, capture="data", notes=tuple(map(clean_text, notes))),
        findings=tuple(judgement.findings),
        not_evaluated=tuple(judgement.not_evaluated),
        settings_digest=settings_digest,
    )


def _risk(view: View) -> Risk | None:
    """What the most telling look says, None where none could."""
    known = next((subject.facts for subject in view.subjects.get("model", ())), {})
    ahead: Literal["probe", "probe with look-ahead"] = (
        "probe with look-ahead" if "model.probe.lookahead_ratio" in known else "probe"
    )
    looks: tuple[tuple[str, Literal["predicted signal", "probe", "probe with look-ahead"]], ...] = (
        ("model.probe.risk", ahead),
        ("model.signal.risk", "predicted signal"),
    )
    for fact, seen in looks:
        value = known.get(fact)
        if isinstance(value, float):
            return Risk(training_fails=value, seen=seen)
    return None


def report_of_failure(target: Any, error: BaseException, settings_digest: str) -> Report:
    """The report of a target that could not be read."""
    kind = type(error).__name__ if isinstance(error, InitAdvisorError) else "InternalError"
    message = str(error) if isinstance(error, InitAdvisorError) else f"{type(error).__name__}: {error}"
    return Report(
        tool=_tool(),
        target=clean_text(_name_of(target)),
        verdict="not_checked",
        error=Problem(kind=kind, message=clean_text(message)),
        settings_digest=settings_digest,
    )


def _problem(target: str, judgement: Judgement, empty: str, accepted: int, failure: str = "") -> Problem | None:
    """Why a run without findings is no clean one: an empty run must not read as one.

    accepted: findings apart. failure: why no forward pass could be followed, which most rules rest on.
    """
    if judgement.findings:
        return None
    if empty:
        return Problem(kind="NothingToCheck", message=f"{target}: {empty}")
    if judgement.not_evaluated and not judgement.ok and not accepted:
        reason = judgement.not_evaluated[0].reason
        return Problem(kind="NothingEvaluated", message=f"{target}: no selected rule could be evaluated: {reason}")
    if failure and judgement.not_evaluated:
        message = (
            f"{target}: {failure}; rules that look at single tensors found nothing, and {len(judgement.not_evaluated)} "
            "checks need a forward pass (mend it, or say what it takes: --input-shape, or example= in Python)"
        )
        return Problem(kind="ForwardFailed", message=message)
    return None


def first_sentence(prose: str) -> str:
    """The first sentence of a paragraph of Markdown, on one line."""
    paragraph = " ".join(prose.split("\n\n")[0].split())
    for mark in (". ", "? ", "! ", ": "):
        head, found, _ = paragraph.partition(mark)
        if found and len(head) > 20 and mark != ": ":
            return head + mark.strip()
    return paragraph


def _name_of(target: Any) -> str:
    return str(target) if isinstance(target, str | os.PathLike) else type(target).__name__


def _tool() -> Tool:
    from initadvisor import __version__

    return Tool(version=__version__)
