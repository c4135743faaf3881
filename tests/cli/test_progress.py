"""Progress: a bar on stderr while a person looks, and nothing otherwise."""

from __future__ import annotations

import io
import sys
import time

import pytest

from initadvisor.cli import progress
from initadvisor.cli.progress import ProgressLine, bar
from initadvisor.report.escape import width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("done", "total", "drawn"),
    [(0, 4, "[------------]"), (1, 4, "[###---------]"), (4, 4, "[############]"), (9, 4, "[############]")],
)
def test_the_bar(done: int, total: int, drawn: str) -> None:
    assert bar(done, total) == drawn


def _drawn(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, enabled: bool = True) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    monkeypatch.setenv("COLUMNS", "40")
    with ProgressLine("a\x1b[31m" + "model" * 20, enabled=enabled) as tell:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            tell("tensors", 1, 2)
            if not enabled or stream.getvalue().count("\r") > 2 or not stream.isatty():
                break
            time.sleep(0.01)
    return stream.getvalue()


def test_a_terminal_shows_one_line_that_fits_and_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _drawn(Terminal(), monkeypatch)
    lines = [line.removeprefix("\x1b[K") for line in text.split("\r")]
    assert len(lines) > 2
    assert all(width(line) < 40 and line.isprintable() for line in lines)
    assert "\n" not in text
    assert text.endswith("\r\x1b[K")


def test_a_pipe_and_quiet_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _drawn(io.StringIO(), monkeypatch) == ""
    assert _drawn(Terminal(), monkeypatch, enabled=False) == ""
