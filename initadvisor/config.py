"""Configuration: the nearest `initadvisor.toml`, or pyproject.toml with a table `[tool.initadvisor]`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from initadvisor.errors import ConfigError, InitAdvisorError
from initadvisor.rules.parse import explain
from initadvisor.rules.rule import Severity

if TYPE_CHECKING:
    from initadvisor.plan import Override

FILE_NAME = "initadvisor.toml"


class _Keys(BaseModel):
    """The keys of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))

    targets: tuple[StrictStr, ...] = ()
    select: tuple[StrictStr, ...] = ()
    ignore: tuple[StrictStr, ...] = ()
    extend_select: tuple[StrictStr, ...] = ()
    preview: StrictBool = False
    fail_on: Severity = "error"
    rules_dirs: tuple[StrictStr, ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)
    preset: StrictStr | None = None
    policy: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings from a file.

    `params` maps "IA101.low" to a value; `rules_dirs` are resolved against the folder of the file; `policy` says what
    `advise` and `fix` do with parameters by name, and wins over `preset`.
    """

    path: Path | None = None
    targets: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    preview: bool = False
    fail_on: Severity = "error"
    rules_dirs: tuple[Path, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    preset: str | None = None
    policy: tuple[Override, ...] = ()


def find(start: Path) -> Config:
    """The configuration that governs a folder, or the defaults where there is none; raises ConfigError."""
    for folder in (start.resolve(), *start.resolve().parents):
        own = folder / FILE_NAME
        if own.is_file():
            return read(own)
        project = folder / "pyproject.toml"
        if project.is_file() and "initadvisor" in _tool_table(project):
            return read(project)
    return Config()


def read(path: Path) -> Config:
    """The configuration in a file; raises ConfigError where it cannot be used."""
    table = _tool_table(path).get("initadvisor", {}) if path.name == "pyproject.toml" else _toml(path)
    where = f"{path}: [tool.initadvisor]" if path.name == "pyproject.toml" else str(path)
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is not a table")
    try:
        keys = _Keys.model_validate(table)
    except ValidationError as error:
        problem, _, hint = explain(error, _Keys)
        raise ConfigError(f"{where}: {problem}", hint=hint) from error
    settings = keys.model_dump()
    settings["rules_dirs"] = tuple(path.parent / folder for folder in keys.rules_dirs)
    settings["params"] = _flat(keys.params, where)
    settings["policy"] = _policy(keys, where)
    return Config(path=path, **settings)


def _flat(params: dict[str, Any], where: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for rule, values in params.items():
        if isinstance(values, dict):
            flat |= {f"{rule}.{name}": value for name, value in values.items()}
        elif "." in rule:
            flat[rule] = values
        else:
            raise ConfigError(f'{where}: params: "{rule}" names no parameter', hint=f"write {rule}.NAME = ...")
    return flat


def _policy(keys: _Keys, where: str) -> tuple[Override, ...]:
    """The overrides of a policy, read only where there is one: they bring the initializers with them."""
    if keys.preset is None and not keys.policy:
        return ()
    from initadvisor.engine.advising import known_preset
    from initadvisor.plan import overrides

    try:
        known_preset(keys.preset)
        return overrides(keys.policy)
    except InitAdvisorError as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error


def _tool_table(path: Path) -> dict[str, Any]:
    tool = _toml(path).get("tool", {})
    return tool if isinstance(tool, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
