"""The rivals of `peers.py` in an environment of their own, asked through a child process."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PEERS = {"anyinit": "0.4.0", "torch-audit": "0.3.0", "torchmortem": "0.1.1", "lsuv": "0.3.0"}
LIMIT = 120.0
"""Seconds that a tool may take for one case."""

Found = dict[str, Any]


def environment(cache: Path) -> Path:
    """The interpreter of the rivals' environment, which is made where it is not there yet."""
    folder = cache / "initadvisor-peers"
    python = folder / "bin" / "python"
    wanted = [f"{name}=={number}" for name, number in PEERS.items()]
    wanted += [f"{name}=={version(name)}" for name in ("torch", "torchvision", "scikit-learn", "numpy")]
    if (folder / "installed").exists() and (folder / "installed").read_text() == "\n".join(wanted):
        return python
    uv = shutil.which("uv")
    make = (
        [uv, "venv", "-q", "--clear", "--python", sys.executable] if uv else [sys.executable, "-m", "venv", "--clear"]
    )
    subprocess.run([*make, str(folder)], check=True)
    install = (
        [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
    )
    subprocess.run([*install, *wanted], check=True)
    (folder / "installed").write_text("\n".join(wanted))
    return python


class Child:
    """A process in the rivals' environment that answers one request after another; started anew after a crash."""

    def __init__(self, python: Path) -> None:
        self.python = python
        self.process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, str]) -> Found:
        """The answer, or {"crash": why}."""
        process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], LIMIT)[0]:
                self.stop()
                return {"crash": f"no answer in {LIMIT:.0f} s"}
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()
            return {"crash": "the process died"}
        found: Found = json.loads(line)
        return found

    def _start(self) -> subprocess.Popen[str]:
        child = Path(__file__).parent / "peers_child.py"
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [str(self.python), str(child)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        return self.process

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
