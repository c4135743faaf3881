"""The report: one target, what was found, what could not be judged, how much was covered. Versioned JSON."""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from initadvisor.report.details import Details
from initadvisor.rules.finding import Finding, NotEvaluated
from initadvisor.rules.rule import SEVERITIES, Severity
from initadvisor.rules.suppressions import SuppressionKind

SCHEMA_VERSION = "1"

Verdict = Literal["clean", "findings", "not_checked"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(_Record):
    """What made the report."""

    name: str = "initadvisor"
    version: str


class Summary(_Record):
    """How many findings of each severity, and how many (rule, subject) pairs got no answer.

    suppressed, baselined: findings that were accepted by a suppression or by the baseline; they count nowhere else.
    """

    error: int = 0
    warning: int = 0
    info: int = 0
    not_evaluated: int = 0
    suppressed: int = 0
    baselined: int = 0


class CoverageRow(_Record):
    """What share of the float parameter elements and of the operators was understood, and how the graph was read."""

    parameters: float = Field(default=0.0, ge=0.0, le=1.0)
    operators: float = Field(default=0.0, ge=0.0, le=1.0)
    capture: str = "none"
    notes: tuple[str, ...] = ()


class Problem(_Record):
    """Why a target was not checked."""

    kind: str
    message: str


class DrawnFrom(_Record):
    """The initializer that the elements of a weight look drawn from; confidence is a probability."""

    method: str
    gain: float | None = None
    confidence: float | None = None


class Recommended(_Record):
    """The initializer that a layer's place calls for."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""


class LayerRow(_Record):
    """One layer as the analysis sees it; null means unknown. Shapes are as stored."""

    name: str
    op: str
    weight: str | None = None
    bias: str | None = None
    shape: tuple[int, ...] | None = None
    fan_in: float | None = None
    fan_out: float | None = None
    activation: str | None = None
    norm_before: str | None = None
    norm_after: str | None = None
    residual_role: str | None = None
    depth: int | None = None
    tied_to: tuple[str, ...] = ()
    drawn_from: DrawnFrom | None = None
    recommended: Recommended | None = None


class SignalRow(_Record):
    """The signal predicted at one layer, for standard normal inputs and output gradients of 1; null means unknown.

    Root mean squares of its input, its output, of what tells two independent inputs apart in the output, of the
    gradients by output and weight; cosines of its outputs for two inputs, and at two positions of one.
    """

    layer: str
    depth: int | None = None
    input_rms: float | None = None
    output_rms: float | None = None
    difference_rms: float | None = None
    cosine: float | None = None
    token_cosine: float | None = None
    gradient_rms: float | None = None
    weight_gradient_rms: float | None = None
    attention_logit_std: float | None = None


class PathStep(_Record):
    """One operator on the way of a signal: second moment of what enters and leaves it, and what else flows in."""

    operator: str
    where: str = ""
    q_in: float | None = None
    q_out: float | None = None
    factor: float | None = None
    joins: tuple[tuple[str, float | None], ...] = ()


class Risk(_Record):
    """The probability that training from this start fails. seen: the look that it rests on."""

    training_fails: float = Field(ge=0.0, le=1.0)
    seen: Literal["predicted signal", "probe", "probe with look-ahead"]


class Explanation(_Record):
    """The signal on its way from an input to one layer, and the gradient on its way back from an output to it.

    assumed: heads of zeros, which count as drawn with gain 1.
    """

    layer: str
    forward: tuple[PathStep, ...] = ()
    backward: tuple[PathStep, ...] = ()
    assumed: tuple[str, ...] = ()


class Suppressed(_Record):
    """A finding that was accepted: by the configuration, a mark on a module, the model file or the baseline.

    origin: where that is written. expires: the last day on which it holds.
    """

    finding: Finding
    kind: SuppressionKind | Literal["baseline"]
    reason: str
    origin: str = ""
    expires: datetime.date | None = None


class Report(_Record):
    """Everything about one target. `verdict` is "not_checked", with `error`, where no answer was possible.

    suppressed: findings that count neither for the verdict nor for the exit code. unused_suppressions: those that
    covered nothing here. expired_suppressions: those that would have covered one of the findings until a day.
    details: what reports with pictures show beyond the rest, null where nobody asked for it.
    """

    schema_version: Literal["1"] = "1"
    tool: Tool
    target: str
    verdict: Verdict
    error: Problem | None = None
    summary: Summary = Summary()
    coverage: CoverageRow = CoverageRow()
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    unused_suppressions: tuple[str, ...] = ()
    expired_suppressions: tuple[str, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    signal: tuple[SignalRow, ...] = ()
    explanation: Explanation | None = None
    risk: Risk | None = None
    probe: dict[str, Any] | None = None
    settings_digest: str = ""
    details: Details | None = None

    def worst(self) -> Severity | None:
        """The gravest severity among the findings, or None."""
        present = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in present), None)

    def failing(self, fail_on: Severity) -> bool:
        """Whether a finding is at or above a severity."""
        worst = self.worst()
        return worst is not None and SEVERITIES.index(worst) <= SEVERITIES.index(fail_on)

    def __str__(self) -> str:
        """The report as a terminal shows it without colour; `repr` and `model_dump` have every field."""
        from initadvisor.report import render

        return render([self], "full")

    def _repr_html_(self) -> str:
        """How a notebook shows the report."""
        from initadvisor.report.html import as_fragment

        return as_fragment(self)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the report, draft 2020-12."""
    schema = Report.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"initadvisor report, schema version {SCHEMA_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }
