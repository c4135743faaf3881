"""Servers that tests share: one without a token on loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.light_graphs import path_of
from tests.service.running import Server, ServerHere, ended, give


@pytest.fixture(autouse=True)
def _no_server_is_left() -> Iterator[None]:
    """A test that fails leaves no process behind."""
    yield
    while Server.started:
        left = Server.started.pop()
        if left.process is not None and left.process.poll() is None:
            left.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    """A server with two workers, small limits on uploads, and a registered model that is a file."""
    root: Path = tmp_path_factory.mktemp("service")
    references = {"zf": str(path_of("light_zfnet512")), "gone": "/no/such/file.onnx"}
    running = ServerHere(root / "data", workers=2, max_upload=2 << 20, references=references).start()
    yield running
    running.stop()


@pytest.fixture
def client(server: ServerHere) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def done(server: ServerHere) -> dict:
    """A check of the shared server that is done."""
    with server.client() as client:
        return ended(client, give(client, model="squeeze", commit="c0ffee", file="light.onnx")["id"])


@pytest.fixture(scope="session")
def _postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private PostgreSQL cluster on a socket of its own; the URL of its server without a database."""
    binaries = _binaries()
    if binaries is None:
        message = "PostgreSQL is not installed here"
        if os.environ.get("INITADVISOR_REQUIRE_POSTGRES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    # A socket's path is short, and the server refuses to run as root: it runs as its own user there.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binaries / program, "-D", folder / "data", *arguments], cwd=folder, capture_output=True, text=True, **user
        )
        assert done.returncode == 0, done.stderr

    try:
        run("initdb", "-A", "trust", "-U", "tests", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-c listen_addresses= -k {folder} -c fsync=off", "start")
        yield f"postgresql://tests@/{{}}?host={folder}"
        run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)


@pytest.fixture
def postgres_url(_postgres: str) -> str:
    """The URL of a new, empty database."""
    import psycopg

    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(_postgres.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return _postgres.format(name)
