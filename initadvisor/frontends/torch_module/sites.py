"""Where in the user's code an operator was called."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import torch

_SKIPPED = (f"{Path(torch.__file__).parent}/", f"{Path(__file__).parent}/", threading.__file__)


def skipped(file: str) -> bool:
    """Whether a file is torch's, this package's or the interpreter's: not where a person would look."""
    return file.startswith(_SKIPPED) or file.startswith("<frozen")


def site(depth: int = 2) -> str | None:
    """The innermost "file:line" outside torch and this package, or None."""
    frame = sys._getframe(depth)
    while frame is not None:
        name = frame.f_code.co_filename
        if not skipped(name):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
