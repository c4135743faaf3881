"""Which findings count: those that a suppression or the baseline accepts are kept apart, and never lost."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initadvisor.report.model import Report, Suppressed
from initadvisor.rules import SEVERITIES, Finding, Judgement, Rule
from initadvisor.rules.suppressions import Suppression, suppress
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.graph import Graph, Marker
    from initadvisor.rules.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted of a judgement; `unused` and `expired` name suppressions, `notes` are for the coverage."""

    suppressed: tuple[Suppressed, ...] = ()
    unused: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def settle(
    judgement: Judgement,
    graph: Graph,
    configured: Sequence[Suppression],
    ran: Sequence[Rule],
    known: Sequence[Rule],
    *,
    obey_model: bool = False,
    today: datetime.date | None = None,
) -> tuple[Judgement, Accepted]:
    """The judgement with the findings that count, and the others apart.

    configured: suppressions of the project. ran: the rules that judged; a suppression of others is not unused.
    known: all rules, which suppressions may name by category.
    obey_model: whether those that came with the model's file count too; marks in its code always do.
    """
    written = [_suppression(marker) for marker in graph.markers if marker.from_code]
    foreign = [_suppression(marker) for marker in graph.markers if not marker.from_code]
    trusted = [s for s in (*configured, *written, *(foreign if obey_model else ())) if s is not None]
    done = suppress(judgement.findings, trusted, known, today)
    notes = []
    if foreign and not obey_model:
        count = f"{len(foreign)} suppression{'s' if len(foreign) > 1 else ''}"
        notes.append(f"the model file carries {count}, not obeyed without --model-suppressions")
    # A file's own can be as it likes: nothing that it says makes a run fail.
    mine = [s for s in done.unused if s.kind != "model" and s.is_about(ran)]
    accepted = Accepted(
        tuple(
            Suppressed(finding=f, kind=s.kind, reason=s.reason, origin=s.origin, expires=s.expires)
            for f, s in done.suppressed
        ),
        tuple(dict.fromkeys(s.label() for s in mine)),
        tuple(dict.fromkeys(s.label() for s in done.expired)),
        tuple(notes),
    )
    return replace(judgement, findings=done.kept), accepted


def _suppression(marker: Marker) -> Suppression | None:
    """A model's marker as a suppression; None where its date is none: what cannot be read accepts nothing."""
    try:
        expires = datetime.date.fromisoformat(marker.expires) if marker.expires else None
    except ValueError:
        return None
    return Suppression(
        tuple(clean_text(glob) for glob in marker.layers),
        clean_text(marker.reason),
        tuple(clean_text(word) for word in marker.rules),
        expires,
        clean_text(marker.origin),
        "module" if marker.from_code else "model",
    )


def suppressed(report: Report, configured: Sequence[Suppression], ran: Sequence[Rule], known: Sequence[Rule]) -> Report:
    """A report that was made elsewhere with the findings that suppressions of this project accept kept apart."""
    done = suppress(report.findings, configured, known)
    unused = [s.label() for s in done.unused if s.is_about(ran)] if report.verdict != "not_checked" else []
    changes: dict[str, object] = {
        "unused_suppressions": tuple(dict.fromkeys((*report.unused_suppressions, *unused))),
        "expired_suppressions": tuple(
            dict.fromkeys((*report.expired_suppressions, *(s.label() for s in done.expired)))
        ),
    }
    if done.suppressed:
        apart = tuple(
            Suppressed(finding=f, kind=s.kind, reason=s.reason, origin=s.origin, expires=s.expires)
            for f, s in done.suppressed
        )
        total = report.summary.suppressed + len(apart)
        changes |= {
            "findings": tuple(done.kept),
            "suppressed": (*report.suppressed, *apart),
            "summary": report.summary.model_copy(update={**counts(done.kept), "suppressed": total}),
            "verdict": "findings" if done.kept else "clean",
        }
    return report.model_copy(update=changes)


def baselined(report: Report, baseline: Baseline, target: str, origin: str) -> Report:
    """The report with the findings that a baseline holds for this target kept apart. origin: the baseline's file."""
    known = [finding for finding in report.findings if baseline.holds(target, finding)]
    if not known:
        return report
    fingerprints = {finding.fingerprint for finding in known}
    fresh = tuple(finding for finding in report.findings if finding.fingerprint not in fingerprints)
    apart = (Suppressed(finding=finding, kind="baseline", reason="known before", origin=origin) for finding in known)
    summary = report.summary.model_copy(update={**counts(fresh), "baselined": len(known)})
    verdict = "findings" if fresh else "clean"
    changes = {"findings": fresh, "suppressed": (*report.suppressed, *apart), "summary": summary, "verdict": verdict}
    return report.model_copy(update=changes)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each severity."""
    found = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        found[finding.severity] += 1
    return {str(severity): count for severity, count in found.items()}
