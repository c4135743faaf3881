"""What a server is started with, checked once before anything listens."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from initadvisor.errors import UsageError

TOKEN_VARIABLE = "INITADVISOR_TOKEN"
MIN_TOKEN = 16
"""Characters of a token at least; `openssl rand -hex 32` gives 64."""

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may use.

    memory: bytes of address space, on top of the size of the file. cpu, wall: seconds. written: bytes of one file.
    """

    memory: int = 4 * GIB
    cpu: int = 300
    wall: float = 600.0
    written: int = 1 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Everything that decides how a server behaves.

    database_url: an SQLAlchemy URL; None for SQLite inside data_dir.
    engine: where jobs run: in processes of this machine, or on the Ray cluster of RAY_ADDRESS (else one started here).
    max_upload: bytes of one upload. max_queue: jobs that wait. max_waiting_bytes: bytes of all uploads that wait.
    tokens: any of them opens the door; none at all is allowed on a loopback address alone.
    allowed_hosts: names that a Host header may carry besides loopback names, the address and IP literals.
    references: models that a job may name without uploading, as name -> target.
    attempts: how often a job is started at most, where its worker or the server is killed under it.
    header_seconds, idle_seconds, upload_seconds: patience with slow clients, for the head of a request, between two
        pieces of a body, and for a whole body.
    rules: select, ignore, extend_select, preview, rules_dirs and params, as the configuration gives them.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8765
    database_url: str | None = None
    workers: int = 1
    engine: Literal["local", "ray"] = "local"
    max_upload: int = 512 * MIB
    max_queue: int = 1000
    max_waiting_bytes: int = 16 * GIB
    max_uploads_at_once: int = 256
    tokens: tuple[str, ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    attempts: int = 3
    header_seconds: float = 10.0
    idle_seconds: float = 20.0
    upload_seconds: float = 900.0
    rules: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would be unsafe or cannot work; raises UsageError."""
        if sys.platform == "win32":
            raise UsageError("the service needs process limits that Windows lacks", hint="run it in WSL or a container")
        if not self.tokens and not is_loopback(self.host):
            raise UsageError(
                f"refusing to listen on {self.host} without a token: anyone could use the service",
                hint=f"set {TOKEN_VARIABLE} or --token-file, or listen on 127.0.0.1",
            )
        if any(len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() for token in self.tokens):
            raise UsageError(
                f"a token needs {MIN_TOKEN} printable ASCII characters at least", hint="openssl rand -hex 32 makes one"
            )
        if self.workers < 1 or self.attempts < 1 or self.max_queue < 1 or self.max_upload < 1:
            raise UsageError("workers, attempts, queue and upload limit are 1 at least")

    @property
    def url(self) -> str:
        """The database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'initadvisor.sqlite3'}"


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tokens_of(file: Path | None) -> tuple[str, ...]:
    """The tokens in a file, one a line, else the one in the environment; never from the command line, which all see.

    Raises UsageError where the file cannot be read or holds none.
    """
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        return (token,) if token else ()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token file {file}: {error}") from error
    tokens = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not tokens:
        raise UsageError(f"the token file {file} holds no token")
    return tokens
