"""What comes out of judging: findings, and rules that could not be judged with the reason."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from initadvisor.rules.rule import Safety, Severity

SubjectKind = Literal["model", "layer", "tensor", "norm", "activation", "batch", "step", "client", "clients"]
EvidenceValue = bool | float | str | list[float] | list[str]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubjectName(_Record):
    """What a finding is about: the kind, its name, and the parameter where one is at fault."""

    kind: SubjectKind
    name: str = ""
    tensor: str | None = None


class Fix(_Record):
    """What to do about a finding: an initializer with its parameters, how safe that is, the command that does it."""

    method: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    safety: Safety
    hint: str | None = None
    command: str | None = None


class Finding(_Record):
    """One rule that fired on one subject. `evidence` holds the facts, parameters and let values that it rests on."""

    rule: str
    name: str
    severity: Severity
    subject: SubjectName
    message: str
    evidence: dict[str, EvidenceValue]
    fix: Fix | None = None
    fingerprint: str


class NotEvaluated(_Record):
    """A rule that gave no answer on a subject, and why."""

    rule: str
    subject: SubjectName
    reason: str


def fingerprint(rule: str, subject: SubjectName) -> str:
    """A key of a finding that survives retraining and upgrades: it holds names only, no numbers and no versions."""
    parts = (rule, subject.kind, subject.name, subject.tensor or "")
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()[:16]
