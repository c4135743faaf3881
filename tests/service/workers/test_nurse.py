"""Workers under their limits: each way to end costs one job, and is told apart from the others."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from initadvisor.service.workers.messages import Ended, Job
from initadvisor.service.workers.nurse import Nurse
from tests.service import models
from tests.service.running import children


class Harness:
    """A nurse on an event loop of its own, and what it told."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._ended: dict[str, asyncio.Future[Ended | None]] = {}
        self.nurse = Nurse({}, self._on_end, self._on_loss)
        self._task = runner.get_loop().create_task(self.nurse.run())
        runner.run(asyncio.wait_for(self.nurse.ready.wait(), 180))

    async def _on_end(self, ended: Ended) -> None:
        self._ended[ended.key].set_result(ended)

    async def _on_loss(self, keys: set[str]) -> None:
        for key in keys:
            self._ended[key].set_result(None)

    def run(self, job: Job, meanwhile: Callable[[int], None] | None = None) -> Ended | None:
        """The end of a job, None where it was lost; `meanwhile` is called with the pid of its worker."""

        async def through() -> Ended | None:
            end = self._ended[job.key] = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self.nurse.ready.wait(), 180)
            self.nurse.start(job)
            if meanwhile:
                while job.key not in self.nurse.pids:
                    await asyncio.sleep(0.01)
                meanwhile(self.nurse.pids[job.key])
            return await asyncio.wait_for(end, 180)

        return self._runner.run(through())

    def close(self) -> None:
        """End the nursery."""
        self._task.cancel()


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with asyncio.Runner() as runner:
        harness = Harness(runner)
        yield harness
        harness.close()


def _job(folder: Path, content: bytes, **limits: float) -> Job:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "in" / "model.onnx").write_bytes(content)
    values = {"memory": 4 << 30, "cpu": 60, "wall": 60.0, "written": 1 << 30, **limits}
    return Job(key=folder.name, folder=str(folder / "out"), inside=str(folder / "in"), target="model.onnx", **values)


def _outcome(job: Job) -> dict:
    return json.loads((Path(job.folder) / "outcome.json").read_text())


def test_a_job_leaves_its_report_and_its_outcome(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.marked("here"))
    ended = harness.run(job)
    assert ended is not None
    assert (ended.status, ended.why) == (0, None)
    outcome = _outcome(job)
    assert outcome["verdict"] == "clean"
    assert not any("limit" in note for note in outcome["notes"])
    report = json.loads(gzip.decompress((Path(job.folder) / "report.json.gz").read_bytes()))
    assert [layer["weight"] for layer in report["layers"]] == ["w.here"]
    assert os.listdir(job.inside) == ["model.onnx"]


def test_too_little_memory_is_said(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.large(), memory=300 << 20)
    ended = harness.run(job)
    assert ended is not None
    assert ended.status == 0
    assert _outcome(job)["failure"]["kind"] == "OutOfMemory"


def test_too_much_computing_is_ended(harness: Harness, tmp_path: Path) -> None:
    ended = harness.run(_job(tmp_path, models.slow(2000), cpu=1))
    assert ended is not None
    assert os.waitstatus_to_exitcode(ended.status) == -signal.SIGXCPU


def test_a_hang_is_ended_by_the_clock(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.slow(2000), wall=1.0)
    ended = harness.run(job, lambda pid: os.kill(pid, signal.SIGSTOP))
    assert ended is not None
    assert (os.waitstatus_to_exitcode(ended.status), ended.why) == (-signal.SIGKILL, "timeout")


def test_a_file_that_grows_too_large_is_a_stated_failure(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.slow(), written=500)
    ended = harness.run(job)
    assert ended is not None
    assert ended.status == 0
    assert _outcome(job)["failure"] == {"kind": "WorkerError", "message": "the worker could not write: File too large"}


def test_a_crash_is_told_with_its_signal(harness: Harness, tmp_path: Path) -> None:
    ended = harness.run(_job(tmp_path, models.slow()), lambda pid: os.kill(pid, signal.SIGSEGV))
    assert ended is not None
    assert (os.waitstatus_to_exitcode(ended.status), ended.why) == (-signal.SIGSEGV, None)


def test_a_cancelled_job_is_ended(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.slow())
    ended = harness.run(job, lambda pid: harness.nurse.kill(job.key))
    assert ended is not None
    assert (os.waitstatus_to_exitcode(ended.status), ended.why) == (-signal.SIGKILL, "cancelled")


def test_workers_go_with_a_nursery_that_is_killed_and_a_new_one_comes(harness: Harness, tmp_path: Path) -> None:
    job = _job(tmp_path, models.slow())
    workers = []

    def kill(pid: int) -> None:
        workers.append(pid)
        (nursery,) = (child for child in children(os.getpid()) if pid in children(child))
        os.kill(nursery, signal.SIGKILL)

    assert harness.run(job, kill) is None
    until = time.monotonic() + 10
    while _alive(workers[0]) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _alive(workers[0])
    (tmp_path / "again").mkdir()
    ended = harness.run(_job(tmp_path / "again", models.marked("again")))
    assert ended is not None
    assert ended.status == 0
    assert harness.nurse.restarts == 1


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_nursery_does_not_see_the_secrets_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INITADVISOR_TOKEN", "a-secret-of-the-server")
    monkeypatch.setenv("INITADVISOR_DATABASE_URL", "postgresql://user:password@host/base")
    with asyncio.Runner() as runner:
        harness = Harness(runner)
        seen = [Path(f"/proc/{child}/environ").read_bytes() for child in children(os.getpid())]
        harness.close()
    assert any(b"PYTHONSAFEPATH" in each for each in seen)
    assert not any(b"a-secret" in each or b"password" in each for each in seen)
