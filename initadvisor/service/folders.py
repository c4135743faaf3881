"""The data folder: who holds it, where uploads arrive, and what belongs to one job."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Set
from pathlib import Path
from typing import IO

from initadvisor.errors import UsageError


class Folders:
    """A data folder, held by one server at a time. Raises UsageError where it cannot be.

    arriving/: uploads that are not complete. jobs/ID/in/: the upload of an accepted job. jobs/ID/N/: what attempt N
    writes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.arriving = self.root / "arriving"
        self.jobs = self.root / "jobs"
        try:
            for folder in (self.root, self.arriving, self.jobs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock: IO[str] = (self.root / "lock").open("w")
        except OSError as error:
            raise UsageError(f"the data folder {root} cannot be used: {error.strerror or error}") from error
        try:
            # The lock is the lease on every job of this folder: it ends with the process, however that ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise UsageError(f"another server uses the data folder {root}", hint="give this one its own") from error
        self.home = self._identity()

    def _identity(self) -> str:
        file = self.root / "home"
        if not file.exists():
            part = self.root / "home.part"
            part.write_text(secrets.token_hex(16))
            os.replace(part, file)
        return file.read_text().strip()[:32]

    def release(self) -> None:
        """Let another server have it."""
        self._lock.close()

    def tidy(self, open_ids: Set[str]) -> None:
        """Remove what a killed server left: half uploads, folders of jobs that have ended."""
        shutil.rmtree(self.arriving, ignore_errors=True)
        self.arriving.mkdir(mode=0o700, exist_ok=True)
        for folder in self.jobs.iterdir():
            if folder.name not in open_ids:
                shutil.rmtree(folder, ignore_errors=True)

    def settle(self, arrived: Path, check_id: str, name: str) -> None:
        """Move a complete upload to its job, durably."""
        inside = self.upload(check_id)
        inside.mkdir(mode=0o700, parents=True)
        os.replace(arrived, inside / name)
        for folder in (inside, inside.parent, self.jobs):
            _sync(folder)

    def upload(self, check_id: str) -> Path:
        """The folder that holds the upload of a job and nothing else: external data can point to nothing more."""
        return self.jobs / check_id / "in"

    def attempt(self, check_id: str, attempt: int) -> Path:
        """The folder that an attempt writes to."""
        return self.jobs / check_id / str(attempt)

    def for_attempt(self, check_id: str, attempt: int) -> Path:
        """The same, made and empty."""
        folder = self.attempt(check_id, attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    def remove(self, check_id: str) -> None:
        """Everything of a job."""
        shutil.rmtree(self.jobs / check_id, ignore_errors=True)

    def free(self) -> int:
        """Bytes that the disk has left."""
        return shutil.disk_usage(self.root).free


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
