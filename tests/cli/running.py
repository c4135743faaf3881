"""The command line as a process, so that exit codes, streams and imports are the real ones."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COLOURS = ("NO_COLOR", "COLUMNS", "FORCE_COLOR")


def run(*args: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m initadvisor ARGS`; stdout and stderr are pipes, so nothing is a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "initadvisor", *args],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def here(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has everything imported: for files alone, as references would stay imported."""
    from initadvisor.cli import main

    out, err = io.StringIO(), io.StringIO()
    kept = {key: os.environ.pop(key) for key in _COLOURS if key in os.environ}
    try:
        with (
            contextlib.chdir(cwd),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main(args)
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        os.environ.update(kept)
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a test process: the package under test is importable, one thread, no colour settings."""
    kept = {key: value for key, value in os.environ.items() if key not in _COLOURS}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH", ""))))
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **(more or {})}


def imported(*args: str, cwd: Path | None = None) -> set[str]:
    """The modules that a run of the command line imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "initadvisor", *args],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}
