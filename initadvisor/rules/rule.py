"""What a rule is: the settings of its TOML block, its page, its examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr

from initadvisor.rules.vocabulary import Scope

Severity = Literal["error", "warning", "info"]
Status = Literal["preview", "stable", "deprecated", "removed"]
Need = Literal["graph", "weights", "signal", "probe", "batch", "checkpoint", "clients"]
Safety = Literal["safe-before-training", "changes-model", "manual"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""Worst first."""

HEADINGS = ("What it does", "Why it matters", "When to ignore it", "References")
"""The sections that every rule file has."""


def _number(value: Any) -> Any:
    """TOML integers become doubles: the expression language does not mix the two."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [_number(v) for v in value]
    return value


Param = Annotated[StrictBool | StrictStr | float | list[float] | list[StrictStr], BeforeValidator(_number)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixSettings(_Table):
    """What to do about a finding.

    initializer: a method by name, or "recommended" for the one that the layer's place calls for.
    params: its parameters; a text of the form "{name}" stands for that fact, parameter or let value.
    hint: one sentence for the person, formatted like the message.
    """

    initializer: StrictStr | None = None
    params: dict[str, Param] = Field(default_factory=dict)
    safety: Safety = "manual"
    hint: StrictStr | None = None


class Translation(_Table):
    """What a rule says in another language.

    title: the name in words. message, hint: with the same "{names}" as in English, or fewer. why: one sentence.
    """

    title: StrictStr
    message: StrictStr
    why: StrictStr = ""
    hint: StrictStr = ""


class RuleSettings(_Table):
    """The keys of the `toml rule` block.

    also: rules that may raise an error on the bad examples too. yields_to: rules that name the cause; where one of
    them found something in the model, this rule has nothing to add. ja: the rule in Japanese.
    """

    status: Status = "preview"
    since: StrictStr
    severity: Severity
    scope: Scope
    needs: tuple[Need, ...] = ()
    when: StrictStr
    message: StrictStr
    let: dict[str, StrictStr] = Field(default_factory=dict)
    p: dict[str, Param] = Field(default_factory=dict)
    fix: FixSettings | None = None
    also: tuple[StrictStr, ...] = ()
    yields_to: tuple[StrictStr, ...] = ()
    ja: Translation | None = None


class RemovedSettings(_Table):
    """The keys that a removed rule keeps, so that its id stays findable and is never given to another rule."""

    status: Literal["removed"]
    since: StrictStr
    removed: StrictStr
    replaced_by: tuple[StrictStr, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A runnable block of a rule file: code that builds `model`, and whether the rule must fire on it."""

    kind: Literal["bad", "good"]
    title: str
    line: int
    code: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `lines` maps a key of the TOML block to the line it stands on; `category` is the folder's name."""

    id: str
    name: str
    settings: RuleSettings | RemovedSettings
    category: str = ""
    path: Path | None = None
    text: str = field(default="", repr=False)
    sections: Mapping[str, str] = field(default_factory=dict, repr=False)
    examples: tuple[Example, ...] = field(default=(), repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def status(self) -> Status:
        """Whether the rule is run: stable by default, preview and deprecated on request, removed never."""
        return self.settings.status

    @property
    def active(self) -> RuleSettings:
        """The settings of a rule that can run; raises LookupError for a removed one."""
        if isinstance(self.settings, RemovedSettings):
            raise LookupError(f"{self.id} was removed in {self.settings.removed}")
        return self.settings

    def where(self, key: str | None = None) -> str:
        """The place of a key in the rule file as "path:line", for messages."""
        place = str(self.path) if self.path else self.id
        line = self.lines.get(key or "", 0)
        return f"{place}:{line}" if line else place
