"""Settings with where each of them came from, and how those of a target lie over those of the whole file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from initadvisor.rules.rule import Severity
from initadvisor.rules.suppressions import Suppression

if TYPE_CHECKING:
    from initadvisor.plan import Override

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings from a file, for all its targets or, after `of`, for one of them.

    `params` maps "IA101.low" to a value; `severity` maps a selector to a severity or "off"; `rules_dirs` and
    `baseline` are resolved against the folder of the file; `policy` says what `advise` and `fix` do with parameters by
    name, and wins over `preset`. `origins` says of a key, or of "key.entry" of a table, where it was set.
    """

    path: Path | None = None
    targets: tuple[NamedTarget, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    preview: bool = False
    severity: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    suppress: tuple[Suppression, ...] = ()
    model_suppressions: bool = False
    fail_on: Severity = "error"
    strict: bool = False
    batch_size: int | None = None
    devices: int | None = None
    expect: str = ""
    classes: int | None = None
    preset: str | None = None
    policy: tuple[Override, ...] = ()
    input_shapes: tuple[tuple[int, ...], ...] = ()
    rules_dirs: tuple[Path, ...] = ()
    baseline: Path | None = None
    lang: str = "en"
    fail_on_unused: bool = False
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    def of(self, target: NamedTarget) -> Config:
        """The settings of one target: what it says replaces, tables are merged, suppressions are added."""
        return self.over(target.settings, target.origin)

    def over(self, settings: Mapping[str, Any], origin: str) -> Config:
        """These settings with others laid over them, which came from `origin`."""
        changes: dict[str, Any] = {}
        origins = dict(self.origins)
        for key, value in settings.items():
            before = getattr(self, key)
            changes[key] = _merged(key, before, value)
            origins[key] = f"{origins[key]}, {origin}" if before and key in _ADDED and key in origins else origin
            if isinstance(value, Mapping):
                origins |= {f"{key}.{entry}": origin for entry in value}
        return replace(self, **changes, origins=origins)

    def origin(self, key: str) -> str:
        """Where a key, or "key.entry" of a table, was set."""
        return self.origins.get(key, DEFAULT)

    def named(self, name: str) -> NamedTarget | None:
        """The target of that name, or None."""
        return next((target for target in self.targets if target.name == name), None)


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A target of the configuration: its name there, what it stands for, and the settings of its own."""

    name: str
    target: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """How the place of its settings is called."""
        return f"[targets.{self.name}]"


KEYS = tuple(f.name for f in fields(Config) if f.name not in ("path", "targets", "origins"))
"""The settings, in the order in which they are shown."""

_ADDED = ("suppress", "policy")


def _merged(key: str, before: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {**before, **value}
    if key == "policy":
        own = {override.pattern for override in value}
        return (*(override for override in before if override.pattern not in own), *value)
    return (*before, *value) if key == "suppress" else value
