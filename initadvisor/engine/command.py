"""The command line that puts a finding right, for a person to copy."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from initadvisor.engine.fixing import is_fixable
from initadvisor.report.escape import visible

if TYPE_CHECKING:
    from initadvisor.engine.checker import CheckSettings
    from initadvisor.frontends.options import LoadOptions


def fix_command(target: Any, settings: CheckSettings, load: LoadOptions) -> str | None:
    """`initadvisor fix TARGET --only-flagged` with the options of this check, or None where it would not work.

    It would not for a live module, for a target that no fix can write, for an example input that only code can give,
    and for a name that a terminal would not show as it is.
    """
    if not isinstance(target, str | os.PathLike) or load.example is not None or not is_fixable(os.fspath(target)):
        return None
    words = ["initadvisor", "fix", os.fspath(target), "--only-flagged", *_rules(settings)]
    for shape in load.input_shapes or ():
        words += ["--input-shape", "x".join(map(str, shape))]
    words += ["--allow-pickle"] if load.allow_pickle else []
    words += ["--allow-external-symlinks"] if load.allow_external_symlinks else []
    command = shlex.join(words)
    return command if visible(command) == command else None


def _rules(settings: CheckSettings) -> list[str]:
    words = []
    for option, names in (
        ("--select", settings.select),
        ("--ignore", settings.ignore),
        ("--extend-select", settings.extend_select),
    ):
        words += [option, ",".join(names)] if names else []
    words += ["--preview"] if settings.preview else []
    for folder in settings.rules_dirs:
        words += ["--rules-dir", os.fspath(folder)]
    for name, value in settings.params.items():
        words += ["--param", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return words
