"""Servers that tests share: one without a token on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.running import Server, ended, give


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers, small limits on uploads, and a registered model that is a file."""
    root: Path = tmp_path_factory.mktemp("service")
    from tests.integration.light_graphs import path_of

    running = Server(
        root / "data",
        *("--workers", "2", "--max-upload", "2M"),
        *("--reference", f"zf={path_of('light_zfnet512')}", "--reference", "gone=/no/such/file.onnx"),
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def done(server: Server) -> dict:
    """A check of the shared server that is done."""
    with server.client() as client:
        return ended(client, give(client, model="squeeze", commit="c0ffee", file="light.onnx")["id"])
