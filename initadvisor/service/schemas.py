"""The shapes of the API's answers, for the server and its clients alike: nothing of the `serve` extra is needed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from initadvisor.report.model import LayerRow, Summary, Verdict
from initadvisor.rules.finding import Finding
from initadvisor.rules.rule import Severity
from initadvisor.service.store.outcome import Failure

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


class Progress(BaseModel):
    """How far a running check is; `total` is 0 where the stage has no parts."""

    stage: str
    done: int
    total: int


class CheckView(BaseModel):
    """A check: what was asked, how far it is, how it ended."""

    id: str
    status: JobStatus
    model: str = Field(description="What checks are grouped by in a history.")
    file: str | None
    reference: str | None
    commit: str | None
    size: int = Field(description="Bytes of the upload.")
    sha256: str | None
    options: dict[str, Any]
    created: datetime
    started: datetime | None
    finished: datetime | None
    attempt: int = Field(description="How often a worker was given this; 0 while it waits for the first.")
    progress: Progress | None = None
    verdict: Verdict | None
    summary: Summary | None
    coverage: float | None
    figures: dict[str, float]
    rules: list[str] = Field(description="Rules that found something.")
    failure: Failure | None
    notes: list[str]
    links: dict[str, str]


class CheckList(BaseModel):
    """One page of checks, newest first."""

    items: list[CheckView]
    page: int
    per_page: int
    total: int


class RuleView(BaseModel):
    """A rule in the list."""

    id: str
    name: str
    status: str
    category: str
    severity: Severity | None
    summary: str


class RulePage(RuleView):
    """A rule with its page, in Markdown."""

    text: str


class LayerChange(BaseModel):
    """One layer in both reports, where anything that is shown of it differs; null where one report lacks it."""

    name: str
    a: LayerRow | None
    b: LayerRow | None
    signal: dict[str, tuple[float | None, float | None]] = Field(
        description="Figures of the predicted signal, a and b."
    )


class ComparisonView(BaseModel):
    """What came and what went between two reports; findings are matched by fingerprint."""

    a: CheckView
    b: CheckView
    new: list[Finding] = Field(description="In b alone.")
    gone: list[Finding] = Field(description="In a alone.")
    same: list[Finding] = Field(description="In both, as b states them.")
    layers: list[LayerChange]
