"""The findings that a project starts from: kept in a file, so that a gate fails on new ones only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from initadvisor.errors import ConfigError
from initadvisor.rules.finding import Finding

FILE_NAME = "initadvisor-baseline.json"
MAX_BYTES = 64 << 20


class Entry(BaseModel):
    """One accepted finding. The fingerprint identifies it; the rest is there for whoever reads the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    rule: str
    subject: str
    fingerprint: str


Judged = Callable[[Entry], bool]


def _always(_: Entry) -> bool:
    return True


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal["1"] = "1"
    findings: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """Accepted findings by (target, fingerprint)."""

    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)

    def holds(self, target: str, finding: Finding) -> bool:
        """Whether this finding of this target is an accepted one."""
        return (target, finding.fingerprint) in self.entries

    def gone(self, found: Mapping[str, Iterable[Finding]], judged: Judged = _always) -> list[Entry]:
        """Entries that were judged and that nothing answers to any more.

        found: the findings of each target that was checked. judged: whether the rule of an entry gave an answer on
        its subject this time; of one that did not, nobody knows whether it is gone.
        """
        seen = {(target, finding.fingerprint) for target, findings in found.items() for finding in findings}
        entries = ((key, entry) for key, entry in self.entries.items() if entry.target in found and key not in seen)
        return [entry for _, entry in entries if judged(entry)]

    def pruned(self, found: Mapping[str, Iterable[Finding]], judged: Judged = _always) -> Baseline:
        """Without the entries that are gone."""
        lost = {(entry.target, entry.fingerprint) for entry in self.gone(found, judged)}
        return Baseline({key: entry for key, entry in self.entries.items() if key not in lost})

    def updated(self, found: Mapping[str, Iterable[Finding]], judged: Judged = _always) -> Baseline:
        """Without the entries that are gone, and with what is new in the targets that were checked."""
        return Baseline({**self.pruned(found, judged).entries, **baseline_of(found).entries})

    def as_text(self) -> str:
        """The file, sorted so that its diffs are small."""
        rows = [self.entries[key].model_dump() for key in sorted(self.entries)]
        document: dict[str, Any] = {"schema_version": "1", "findings": rows}
        return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def baseline_of(found: Mapping[str, Iterable[Finding]]) -> Baseline:
    """Everything that was found, by target, as accepted."""
    entries = (
        Entry(target=target, rule=f.rule, subject=f.subject.name or f.subject.tensor or "", fingerprint=f.fingerprint)
        for target, findings in found.items()
        for f in findings
    )
    return Baseline({(entry.target, entry.fingerprint): entry for entry in entries})


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file; raises ConfigError where it is not one."""
    hint = f"make it with: initadvisor baseline create --baseline {path}"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"the baseline {path} is larger than {MAX_BYTES >> 20} MiB", hint=hint)
        file = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the baseline {path}: {error.strerror or error}", hint=hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path} is not a baseline: {where}: {first['msg']}", hint=hint) from error
    return Baseline({(entry.target, entry.fingerprint): entry for entry in file.findings})
