"""What `initadvisor pretrained` says: what a model is, which weights there are for it, what a checkpoint gave it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from initadvisor.frontends.registry import PretrainedWeights

Verdict = Literal["complete", "partial", "foreign"]


WeightsRow = PretrainedWeights
"""Weights that exist, as they are known of their library."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recognised(_Record):
    """One architecture that the model is, or is close to.

    by: how that is known. share: of the weights of both, those with a partner of the same shape. where: the part of
    the model, "" for all of it. differences: heads and stems of another size, in words.
    """

    library: str
    architecture: str
    by: Literal["name", "configuration", "shapes"]
    share: float = Field(default=1.0, ge=0.0, le=1.0)
    exact: bool = True
    where: str = ""
    differences: tuple[str, ...] = ()


class DomainWeights(_Record):
    """Weights outside these libraries that suit a domain. fits: whether they are for the architecture at hand."""

    name: str
    trained_on: str
    architectures: tuple[str, ...] = ()
    license: str = ""
    inputs: str = ""
    url: str = ""
    fits: bool = False


class Advice(_Record):
    """One piece of advice on where the weights should come from, with its source."""

    prefer: Literal["domain", "general", "random", "either"]
    text: str
    source: str
    weights: tuple[DomainWeights, ...] = ()


class PretrainedReport(_Record):
    """Everything about the weights that exist for a target."""

    schema_version: Literal["1"] = "1"
    target: str
    domain: str
    recognised: tuple[Recognised, ...] = ()
    weights: tuple[WeightsRow, ...] = ()
    advice: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()


class EntryRow(_Record):
    """One tensor of the model: its name in the file, its shapes, and why it is where it is."""

    name: str
    source: str | None = None
    shape: tuple[int, ...] = ()
    source_shape: tuple[int, ...] | None = None
    reason: str = ""


class LoadReport(_Record):
    """What a checkpoint gave a model; each tensor of the model is in one list.

    verdict: "complete" where the whole backbone got its weights, "partial" where some of it did not, or the file is a
    deeper model's, "foreign" where
    so little did that the file belongs to another model. covered: share of the elements outside the head that got
    theirs. used: share of the file's elements that belong somewhere in the model. written: whether the model or the
    output file has them. trained: share of the file's matrix elements that look trained, null where that cannot be
    told.
    """

    schema_version: Literal["1"] = "1"
    target: str
    file: str
    verdict: Verdict
    covered: float = Field(ge=0.0, le=1.0)
    used: float = Field(ge=0.0, le=1.0)
    written: bool = False
    output: str | None = None
    prefix_removed: str = ""
    prefix_added: str = ""
    matched: tuple[EntryRow, ...] = ()
    renamed: tuple[EntryRow, ...] = ()
    adapted: tuple[EntryRow, ...] = ()
    redrawn: tuple[EntryRow, ...] = ()
    kept: tuple[EntryRow, ...] = ()
    mismatched: tuple[EntryRow, ...] = ()
    missing: tuple[EntryRow, ...] = ()
    unexpected: tuple[str, ...] = ()
    dtypes: dict[str, int] = Field(default_factory=dict)
    trained: float | None = None
    looks_like: tuple[Recognised, ...] = ()
    notes: tuple[str, ...] = ()
