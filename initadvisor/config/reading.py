"""Finding a configuration file and reading it, with an error that names the file and the key."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from initadvisor.config.keys import CheckKeys, Keys, SuppressKeys, TargetKeys
from initadvisor.config.settings import Config, NamedTarget
from initadvisor.errors import ConfigError, InitAdvisorError
from initadvisor.rules.parse import explain
from initadvisor.rules.suppressions import Suppression

FILE_NAME = "initadvisor.toml"


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
        keys = Keys.model_validate(table)
    except ValidationError as error:
        problem, _, hint = explain(error, Keys)
        raise ConfigError(f"{where}: {problem}", hint=hint) from error
    settings = _settings(keys, where, path.name)
    settings |= {"rules_dirs": tuple(path.parent / f for f in keys.rules_dirs)} if keys.rules_dirs else {}
    settings |= {"baseline": path.parent / keys.baseline} if keys.baseline else {}
    settings |= {"lang": keys.lang} if "lang" in keys.model_fields_set else {}
    settings |= {"fail_on_unused": keys.fail_on_unused} if "fail_on_unused" in keys.model_fields_set else {}
    targets = tuple(
        NamedTarget(name, _beside(path, own.target), _settings(own, f"{where}: targets.{name}", f"[targets.{name}]"))
        for name, own in keys.targets.items()
    )
    return Config(path=path, targets=targets).over(settings, path.name)


_PLAIN = (
    "select", "ignore", "extend_select", "preview", "fail_on", "strict", "model_suppressions", "expect", "classes",
    "preset", "batch_size", "devices",
)  # fmt: skip
"""The keys whose values are used as they are written."""


def _settings(keys: CheckKeys, where: str, origin: str) -> dict[str, Any]:
    """The settings that a table holds, as they are used; those that it does not mention are not among them."""
    given = keys.model_fields_set
    settings: dict[str, Any] = {name: getattr(keys, name) for name in _PLAIN if name in given}
    if "severity" in given:
        settings["severity"] = dict(keys.severity)
    if "params" in given:
        settings["params"] = _flat(keys.params, where)
    if keys.suppress:
        settings["suppress"] = tuple(_suppression(each, origin) for each in keys.suppress)
    if keys.preset is not None or keys.policy:
        policy = _policy(keys, where)
        settings |= {"policy": policy} if policy else {}
    if isinstance(keys, TargetKeys) and keys.input_shapes:
        settings["input_shapes"] = keys.input_shapes
    return settings


def _suppression(keys: SuppressKeys, origin: str) -> Suppression:
    return Suppression(keys.layers or ("*",), keys.reason, keys.rules, keys.expires, origin)


def _beside(path: Path, target: str) -> str:
    """A target as it is reached from here: files lie relative to the configuration, references nowhere."""
    file = path.parent / target
    if Path(target).is_absolute() or (":" in target and not file.exists()):
        return target
    try:
        return Path(os.path.relpath(file)).as_posix()
    except ValueError:  # on another drive
        return str(file)


def _flat(params: Mapping[str, Any], where: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for rule, values in params.items():
        if isinstance(values, dict):
            flat |= {f"{rule}.{name}": value for name, value in values.items()}
        elif "." in rule:
            flat[rule] = values
        else:
            raise ConfigError(f'{where}: params: "{rule}" names no parameter', hint=f"write {rule}.NAME = ...")
    return flat


def _policy(keys: CheckKeys, where: str) -> Any:
    """The overrides of a policy, read only where there is one: they bring the initializers with them."""
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
