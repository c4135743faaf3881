"""Reports made by hand."""

from __future__ import annotations

from typing import Any

from initadvisor.report import CoverageRow, LayerRow, Problem, Report, Summary, Suppressed, Tool
from initadvisor.rules import Finding, Fix, NotEvaluated, SubjectName, fingerprint

HOSTILE = "a\x1b[31m\r\n::error::[bold]x[/bold]\u202egnp.exe\u200b\x00<b>|`"


def finding(
    rule: str = "IA101", name: str = "fc", severity: str = "error", message: str = "std 0.01 is small"
) -> Finding:
    subject = SubjectName(kind="layer", name=name, tensor=f"{name}.weight")
    return Finding(
        rule=rule,
        name="gain-too-small",
        severity=severity,  # type: ignore[arg-type]
        subject=subject,
        message=message,
        evidence={"tensor.std": 0.01, "layer.name": name},
        fix=Fix(method="recommended", params={"gain": 1.4}, safety="safe-before-training"),
        fingerprint=fingerprint(rule, subject),
    )


def report(*findings: Finding, target: str = "model.onnx", **fields: Any) -> Report:
    counts = {s: sum(f.severity == s for f in findings) for s in ("error", "warning", "info")}
    skipped = fields.get("not_evaluated", ())
    return Report(
        **{
            "tool": Tool(version="1.2.3"),
            "target": target,
            "verdict": "findings" if findings else "clean",
            "summary": Summary(**counts, not_evaluated=len(skipped)),
            "coverage": CoverageRow(parameters=1.0, operators=0.9996, capture="onnx"),
            "findings": findings,
            "layers": (LayerRow(name="fc", op="linear", weight="fc.weight", shape=(4, 8), fan_in=8, fan_out=4),),
            **fields,
        }
    )


def unreadable(target: str = "broken.onnx") -> Report:
    return Report(
        tool=Tool(version="1.2.3"),
        target=target,
        verdict="not_checked",
        error=Problem(kind="FormatError", message=f"{target} is truncated"),
    )


def apart(found: Finding, kind: str = "configuration", reason: str = "meant", origin: str = "x.toml") -> Suppressed:
    return Suppressed(finding=found, kind=kind, reason=reason, origin=origin)  # type: ignore[arg-type]


def accepting(*accepted: Suppressed, findings: tuple[Finding, ...] = (), target: str = "model.onnx") -> Report:
    made = report(*findings, target=target, suppressed=accepted)
    known = sum(each.kind == "baseline" for each in accepted)
    counts = {"suppressed": len(accepted) - known, "baselined": known}
    return made.model_copy(update={"summary": made.summary.model_copy(update=counts)})


def skipped(rule: str, name: str, reason: str) -> NotEvaluated:
    return NotEvaluated(rule=rule, subject=SubjectName(kind="layer", name=name), reason=reason)


MIXED = report(
    finding("IA300", "act", "info"),
    finding("IA101", "b"),
    finding("IA200", "w", "warning"),
    finding("IA101", "a"),
    not_evaluated=(skipped("IA105", "x", "layer.gain is not known"), skipped("IA105", "y", "layer.gain is not known")),
)
