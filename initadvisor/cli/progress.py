"""A progress line on stderr, where a person looks at it."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from initadvisor.report.escape import visible
from initadvisor.report.terminal import columns, is_terminal

DELAY = 0.4
"""Seconds before anything is shown: quick work needs no progress."""

INTERVAL = 0.1


class ProgressLine:
    """Called with (stage, done, total); shows "target: stage 12/340" and removes it at the end."""

    def __init__(self, label: str, *, enabled: bool = True) -> None:
        self._label = visible(label, 60)
        self._enabled = enabled and is_terminal(sys.stderr)
        self._next = time.monotonic() + DELAY
        self._shown = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Report where the work is; cheap enough to be called for every tensor."""
        now = time.monotonic()
        if not self._enabled or now < self._next:
            return
        self._next = now + INTERVAL
        self._shown = True
        count = f" {done}/{total}" if total else ""
        sys.stderr.write("\r\x1b[K" + f"{self._label}: {stage}{count}"[: columns(sys.stderr) - 1])
        sys.stderr.flush()
