"""A progress line on stderr, where a person looks at it."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from initadvisor.report.escape import visible
from initadvisor.report.terminal import columns, is_terminal

DELAY = 0.5
"""Seconds before anything is shown: quick work needs no progress."""

INTERVAL = 0.1
_TURNS = "|/-\\"


BAR = 12
"""Characters of a bar."""


def bar(done: int, total: int) -> str:
    """`[####--------]`: how much of the work is done, in ASCII, which every terminal has."""
    full = min(BAR, max(0, BAR * done // total))
    return f"[{'#' * full}{'-' * (BAR - full)}]"


class ProgressLine:
    """Called with (stage, done, total); a thread shows "target: stage 12%" and removes it at the end."""

    def __init__(self, label: str, *, enabled: bool = True) -> None:
        self._label = visible(label, 60)
        self._text = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True) if enabled and is_terminal(sys.stderr) else None

    def __enter__(self) -> ProgressLine:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Report where the work is; cheap enough to be called for every tensor."""
        self._text = f"{stage} {bar(done, total)} {100 * done // total}%" if total else stage

    def _draw(self) -> None:
        if self._stop.wait(DELAY):
            return
        turn = 0
        while not self._stop.wait(INTERVAL):
            turn += 1
            line = f"{_TURNS[turn % len(_TURNS)]} {self._label}: {self._text}"
            sys.stderr.write("\r\x1b[K" + line[: columns(sys.stderr) - 1])
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
