"""Where a target lies in a checkout: the file and line that a forge can annotate."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIGURATION = ("initadvisor.toml", "pyproject.toml")
"""What a target without a file of its own is shown at: the file that names it, if any."""


_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A file relative to the folder that was asked from, with forward slashes, and a line from 1."""

    file: str
    line: int = 1


def locate(target: str, root: Path | None = None) -> Place:
    """The place of a target: its file, the line of its factory, else the configuration, else a name made of it.

    root: the folder that paths are relative to; the working directory if None. Nothing is imported: a factory is
    found only where it has been called before. The answer lies within `root` always, as forges ask for.
    """
    root = (root or Path.cwd()).resolve()
    for found in (_file(target, root), _factory(target, root)):
        if found is not None:
            return found
    for name in CONFIGURATION:
        if (root / name).is_file():
            return Place(name)
    parts = "".join(c if c.isalnum() or c in "-_./" else "_" for c in target)[-_LONGEST:].split("/")
    return Place("/".join(part for part in parts if part.strip(".")) or "model")


def _file(target: str, root: Path) -> Place | None:
    try:
        path = (root / target).resolve()
        return Place(path.relative_to(root).as_posix()) if path.is_file() else None
    except (OSError, ValueError):  # a name too long for a path, or one that lies elsewhere
        return None


def _factory(target: str, root: Path) -> Place | None:
    """The definition of `package.module:factory`, which a check has imported by then."""
    module, _, path = target.partition(":")
    found: Any = sys.modules.get(module)
    if found is None or not path:
        return None
    try:
        for name in path.split("."):
            found = getattr(found, name)
        _, line = inspect.getsourcelines(found)
        source = Path(inspect.getfile(found)).resolve()
        return Place(source.relative_to(root).as_posix(), max(line, 1))
    except (AttributeError, TypeError, OSError, ValueError):  # no source, or one outside the checkout
        return None
