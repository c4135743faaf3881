"""Accepted is kept: through kill -9 of the server, of what starts workers, and of workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from initadvisor.service.client import Client
from tests.service import models
from tests.service.running import Answering, Server, children, ended, give
from tests.service.storm import Storm, reports_stored

pytestmark = pytest.mark.long


def test_every_accepted_job_ends_once_through_kills(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", "--workers", "2").start()
    storm = Storm(server)
    storm.run(40, at_once=4, meanwhile=storm.killer([(4, "worker"), (10, "server"), (20, "worker"), (30, "nursery")]))
    checks = storm.settled(120)
    counts = storm.verdicts(checks)
    assert storm.killed["server"] == 1
    assert storm.killed["nursery"] + storm.killed["worker"] >= 1
    assert sum(counts.values()) == 40
    assert counts["done"] >= 36  # three kills in a row may fail a job; they cannot fail many
    assert reports_stored(server) == sum(check["status"] == "done" for check in checks.values())
    before = {check_id: (check["status"], check["finished"]) for check_id, check in checks.items()}
    server.kill()
    server.start()
    assert {key: (each["status"], each["finished"]) for key, each in storm.settled(60).items()} == before
    assert not list((server.data / "jobs").iterdir())
    assert server.stop() == 0


def test_nothing_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    with server.client() as client:
        check = give(client, models.slow())
        until = time.monotonic() + 60
        while not server.workers() and time.monotonic() < until:
            time.sleep(0.02)
        left = [*server.nurseries(), *server.workers()]
        assert len(left) == 2
        running = client.get(f"/v1/checks/{check['id']}").json()
        assert (running["status"], running["attempt"]) == ("running", 1)
    server.kill()
    until = time.monotonic() + 60
    while any(_alive(pid) for pid in left) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(_alive(pid) for pid in left)
    server.start()
    with server.client() as client:
        again = ended(client, check["id"])
        assert (again["status"], again["attempt"]) == ("done", 2)
        # A stop on request, in the middle of a job, costs no attempt.
        check = give(client, models.slow())
        until = time.monotonic() + 60
        while not server.workers() and time.monotonic() < until:
            time.sleep(0.02)
    assert server.stop() == 0
    server.start()
    with server.client() as client:
        assert ended(client, check["id"])["attempt"] == 1
    server.stop()


def test_a_client_waits_through_a_restart(tmp_path: Path) -> None:
    (tmp_path / "slow.onnx").write_bytes(models.slow())
    server = Server(tmp_path / "data").start()
    client = Client(server.url)
    given = [client.submit(tmp_path / "slow.onnx") for _ in range(2)]

    def restart() -> None:
        server.kill()
        server.start()

    again = threading.Timer(0.5, restart)
    again.start()
    assert [client.wait(each.id, patience=120).status for each in given] == ["done", "done"]
    assert [client.report(each.id).target for each in given] == ["slow.onnx", "slow.onnx"]
    again.join()
    assert server.stop() == 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_server_keeps_off_a_data_folder_in_use(server: Answering) -> None:
    second = Server(server.data)
    with pytest.raises(AssertionError, match="another server uses the data folder"):
        second.start()
    assert second.process is not None
    assert second.process.returncode == 2


def test_a_worker_that_is_killed_or_crashes_costs_its_job_only(server: Answering) -> None:
    with server.client() as client:
        killed = give(client, models.slow())
        _worker_gets(server, signal.SIGKILL)
        assert ended(client, killed["id"])["attempt"] == 2
        crashed = give(client, models.slow())
        other = give(client)
        _worker_gets(server, signal.SIGSEGV)
        check = ended(client, crashed["id"])
        assert (check["status"], check["failure"]["kind"]) == ("failed", "Crash")
        assert "SIGSEGV" in check["failure"]["message"]
        assert ended(client, other["id"])["status"] == "done"
        assert client.get(f"/v1/checks/{check['id']}/report").status_code == 409


def _worker_gets(server: Answering, number: int) -> None:
    """Send a signal to the worker that runs longest."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for pid in server.workers():
            time.sleep(0.2)
            if pid in [child for nursery in server.nurseries() for child in children(nursery)]:
                os.kill(pid, number)
                return
        time.sleep(0.01)
    raise AssertionError("no worker")


def test_progress_is_shown_while_a_check_runs(server: Answering) -> None:
    with server.client() as client:
        check = give(client, models.slow())
        stages = set()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            now = client.get(f"/v1/checks/{check['id']}").json()
            if now["progress"]:
                assert now["status"] == "running"
                stages.add(now["progress"]["stage"])
            if now["status"] == "done":
                break
            time.sleep(0.03)
        assert stages
        assert now["progress"] is None


def test_two_hundred_small_uploads_at_once(server: Answering) -> None:
    storm = Storm(server)
    storm.run(200, at_once=50)
    checks = storm.settled(180)
    assert storm.verdicts(checks) == {"done": 200}
    assert len(set(storm.accepted.values())) == 200


def test_postgresql_holds_the_jobs_as_well(tmp_path: Path, postgres_url: str) -> None:
    server = Server(tmp_path / "data", env={"INITADVISOR_DATABASE_URL": postgres_url}).start()
    storm = Storm(server)

    storm.run(10, at_once=3, meanwhile=storm.killer([(5, "server")]))
    assert storm.verdicts(storm.settled(120)) == {"done": 10}
    assert not (server.data / "initadvisor.sqlite3").exists()
    assert server.stop() == 0
