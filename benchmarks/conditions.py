"""Where, when and with what a benchmark was run, in the forms that the committed results have."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

MACHINE = f"{platform.machine()}, {os.cpu_count()} shared cores, no GPU"


def today() -> str:
    """The day, as ISO 8601 writes it."""
    return datetime.date.today().isoformat()


def cpu() -> str:
    """The processor by the name that Linux gives it, elsewhere what the platform says of it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def measured(*packages: str, threads: int) -> dict[str, Any]:
    """Of a benchmark that takes time."""
    return {
        "machine": MACHINE,
        "threads": threads,
        "versions": {name: version(name) for name in packages},
        "python": platform.python_version(),
        "date": today(),
    }


def trained(**versions: str) -> dict[str, Any]:
    """Of a benchmark that trains networks; torch's version says for which device it was built."""
    import torch

    return {
        "machine": MACHINE,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, **versions},
        "date": today(),
    }


def counted(*packages: str) -> dict[str, Any]:
    """Of a benchmark that counts what is right."""
    return {
        "date": today(),
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "versions": {name: version(name) for name in packages},
    }
