"""A real server in a process of its own, spoken to over a real socket."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import httpx

from initadvisor.service import serving
from initadvisor.service.settings import ServiceSettings
from tests.cli.running import environment
from tests.integration.light_graphs import path_of

OCTETS = {"content-type": "application/octet-stream"}
ENDED = ("done", "failed", "cancelled")
LIGHT = path_of("light_squeezenet").read_bytes()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Answering:
    """A server at an address."""

    data: Path
    url: str
    port: int
    token: str | None

    def client(self, **more: Any) -> httpx.Client:
        """A client that knows the token."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=60, verify=False, **more
        )  # no TLS: no roots to read

    def nurseries(self) -> list[int]:
        """The process that workers are forked from."""
        raise NotImplementedError

    def workers(self) -> list[int]:
        """The processes that run jobs now."""
        return [child for nursery in self.nurseries() for child in children(nursery)]


class ServerHere(Answering):
    """A server in a thread of this process, which spares it the start of an interpreter: for tests that end none."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self.data = data
        self.token = next(iter(settings.get("tokens", ())), None)
        self.log = data.parent / f"{data.name}.log"
        self._handler = logging.FileHandler(self.log)
        for name in ("uvicorn.error", "initadvisor.service"):
            logging.getLogger(name).addHandler(self._handler)
        self._server = serving.server(ServiceSettings(data_dir=data, port=0, **settings))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> ServerHere:
        """Start it and wait until it is ready."""
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), self.log.read_text()
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        until = time.monotonic() + 180
        with self.client() as client:
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.1)
        return self

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end."""
        self._server.should_exit = True
        self._thread.join(60)
        assert not self.alive
        logging.getLogger("uvicorn.error").removeHandler(self._handler)
        logging.getLogger("initadvisor.service").removeHandler(self._handler)

    def nurseries(self) -> list[int]:
        pid = self._server.config.app.state.service.supervisor.nurse.pid  # type: ignore[union-attr]
        return [pid] if pid else []


class Server(Answering):
    """`initadvisor serve` over a data folder; started, killed and started again. started: every one there was."""

    started: ClassVar[list[Server]] = []

    def __init__(self, data: Path, *options: str, token: str | None = None, env: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = token
        self._command = ["serve", "--data-dir", str(data), "--port", str(self.port), *options]
        self._env = {**({"INITADVISOR_TOKEN": token} if token else {}), **(env or {})}
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 180.0) -> Server:
        """Start it and wait until it is ready."""
        self.started.append(self)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "initadvisor", *self._command],
                env=environment(self._env),
                cwd=self.data.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < until:
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/readyz").status_code == 200:
                        return self
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.1)
        self.kill()
        raise AssertionError(f"not ready in {seconds} s: {self.log.read_text()}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def nurseries(self) -> list[int]:
        """The process that workers are forked from."""
        assert self.process is not None
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    """The children of a process."""
    try:
        return [
            int(child)
            for task in os.listdir(f"/proc/{pid}/task")
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        ]
    except OSError:
        return []


def give(client: httpx.Client, content: bytes = LIGHT, **query: Any) -> dict[str, Any]:
    """Upload a file; the accepted check."""
    answer = client.post("/v1/checks", content=content, params=query, headers=OCTETS)
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/checks/{made['id']}"
    return made


def ended(client: httpx.Client, check_id: str, seconds: float = 90.0) -> dict[str, Any]:
    """The check once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        check = client.get(f"/v1/checks/{check_id}").json()
        if check["status"] in ENDED:
            return check
        time.sleep(0.03)
    raise AssertionError(f"not ended in {seconds} s: {check}")
