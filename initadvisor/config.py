"""Configuration: the nearest `initadvisor.toml`, or pyproject.toml with a table `[tool.initadvisor]`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from initadvisor.errors import ConfigError
from initadvisor.rules.parse import explain
from initadvisor.rules.rule import Severity

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


@dataclass(frozen=True, slots=True)
class Config:
    """Settings from a file.

    `params` maps "IA101.low" to a value; `rules_dirs` are resolved against the folder of the file.
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
