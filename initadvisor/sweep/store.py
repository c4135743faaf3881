"""The file that a sweep can be resumed from: a line a finished job, on disk before anybody is told."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from initadvisor.errors import UsageError

HEADER = b'{"initadvisor_sweep": 1}\n'
"""The first line: a file that begins otherwise is somebody else's, and is left alone."""
AGAIN = ("WorkerLostError", "MissingExtraError", "NotFoundError")
"""Errors of what may be otherwise by now, such as a configuration that is in the cache at last: done again."""


class SweepFile:
    """An append-only JSON Lines file, for one sweep at a time.

    Opening it raises UsageError where it cannot be written, is no such file, or is in use. A last line that a crash
    cut short is dropped; a damaged line in between counts as not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            self._file: IO[bytes] = os.fdopen(handle, "r+b")
        except OSError as error:
            raise UsageError(f"cannot open {path}: {error.strerror or error}") from error
        try:
            _lock(self._file, path)
            self._done = self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> SweepFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._done)

    def _read(self) -> dict[str, tuple[int, int]]:
        """Where the report of each job stands: start and length of its line."""
        first = self._file.readline()
        if first != HEADER:
            if not HEADER.startswith(first):
                raise UsageError(
                    f"{self.path} was not written by a sweep and is left alone", hint="name a new file after --resume"
                )
            self._file.truncate(0)
            self._file.seek(0)
            self._write(HEADER)
            return {}
        found: dict[str, tuple[int, int]] = {}
        place = len(HEADER)
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(place)
                break
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                if (row["report"].get("error") or {}).get("kind") in AGAIN:
                    found.pop(row["key"], None)
                else:
                    found[row["key"]] = (place, len(line))
            place += len(line)
        return found

    def report(self, key: str) -> str | None:
        """The report of a job that is done, as JSON; None for one that is not."""
        if key not in self._done:
            return None
        start, length = self._done[key]
        self._file.seek(start)
        return json.dumps(json.loads(self._file.read(length))["report"])

    def add(self, key: str, target: str, report: str, **more: Any) -> None:
        """Put down a finished job; it is on disk when this returns. Raises UsageError where the disk is full."""
        head = json.dumps({"key": key, "target": target, **more})
        line = f'{head[:-1]}, "report": {report}}}\n'.encode("utf-8", "surrogatepass")
        try:
            start = self._file.seek(0, os.SEEK_END)
            self._write(line)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._done[key] = (start, len(line))

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def keys(self) -> Iterator[str]:
        """The jobs that are done."""
        return iter(self._done)


def _lock(file: IO[bytes], path: Path) -> None:
    """Hold the file for this process, where the platform can; the end of the process lets go of it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{path} is in use by another sweep") from error
    except OSError:  # a network file system without locks
        return
