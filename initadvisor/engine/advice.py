"""What to do about findings, from the plan that answers them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from initadvisor.report.model import LayerRow, Recommended
from initadvisor.rules import Finding
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.analysis.facts import TensorFacts
    from initadvisor.graph import Graph
    from initadvisor.plan import Override, Plan

RECOMMENDED = "recommended"
"""The `initializer` of a rule's fix that leaves the choice to the layer's place."""


def advised(
    graph: Graph,
    measured: Mapping[str, TensorFacts],
    findings: Sequence[Finding],
    layers: Iterable[LayerRow],
    command: str | None = None,
    *,
    preset: str | None = None,
    policy: Sequence[Override] = (),
) -> tuple[tuple[Finding, ...], tuple[LayerRow, ...]]:
    """The findings with "recommended" replaced by a method and its parameters, the layers with what they call for.

    preset, policy: what the user's own configuration asks for, which `initadvisor fix` follows too.
    command: what draws anew the parameters at fault; a finding gets it where its own parameter is among them.
    """
    from initadvisor.plan import advise
    from initadvisor.plan.flagged import is_of_all

    plan = advise(graph, measured, findings, preset=preset or "default", policy=policy)
    chosen = _by_parameter(plan)
    rows = tuple(
        row.model_copy(update={"recommended": chosen[row.weight]}) if row.weight in chosen else row for row in layers
    )
    drawn = plan.only_flagged().draws if command else ()
    if graph.source == "onnx" and not all(graph.parameters[step.parameter].pieces for step in drawn):
        drawn = ()  # elements that the file computes rather than stores cannot be written
    redrawn = {clean_text(step.parameter) for step in drawn}
    answered = tuple(
        _with_command(_resolved(finding, chosen), command, bool(redrawn) and is_of_all(finding), redrawn)
        for finding in findings
    )
    return answered, rows


def _by_parameter(plan: Plan) -> dict[str | None, Recommended]:
    return {
        clean_text(step.parameter): Recommended(
            method=step.spec.method, params=dict(step.spec.params), reason=clean_text(step.reason)
        )
        for step in plan.steps
        if step.spec is not None
    }


def _with_command(finding: Finding, command: str | None, mended: bool, redrawn: Collection[str]) -> Finding:
    if finding.fix is None or not finding.fix.method:
        return finding
    if finding.subject.tensor not in redrawn and not mended:
        return finding
    return finding.model_copy(update={"fix": finding.fix.model_copy(update={"command": command})})


def _resolved(finding: Finding, chosen: Mapping[str | None, Recommended]) -> Finding:
    choice = chosen.get(finding.subject.tensor)
    if finding.fix is None or finding.fix.method != RECOMMENDED or choice is None:
        return finding
    fix = finding.fix.model_copy(update={"method": choice.method, "params": choice.params})
    return finding.model_copy(update={"fix": fix})
