"""Both engines keep one contract: a worker that dies costs its own job an attempt, and nobody else anything."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from initadvisor.errors import UsageError
from initadvisor.report import Report
from initadvisor.sweep.job import Done, Engine, Job
from initadvisor.sweep.local import LocalEngine
from initadvisor.sweep.ray_engine import RayEngine
from initadvisor.sweep.run import sweep
from tests.cli.models import mlp, poisoned
from tests.service import models
from tests.service.running import ServerHere, children, ended, give
from tests.sweep.jobs import Deadly, Holding, alone, burdened, jobs_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray with two workers, for all tests of the module: it takes seconds to start."""
    from initadvisor.sweep.cluster import connected

    with connected(None, 2):
        yield


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("zoo")
    mlp(folder / "good.onnx", depth=3)
    mlp(folder / "small.onnx", depth=3, gain=0.1)
    poisoned(folder / "bad.onnx", depth=3)
    (folder / "broken.onnx").write_bytes(b"not a model")
    return folder


TARGETS = ("good.onnx", "small.onnx", "bad.onnx", "broken.onnx", "good.onnx")
"""The first one waits until its worker is killed and runs at the second attempt; no worker survives the last one."""
SETTINGS = {"params": {"IA101.low": 0.2}, "ignore": ("IA102",)}
"""They have to reach the workers, and come back as the digest of each report."""


def _swept(engine: Engine, zoo: Path, folder: Path) -> list[Report]:
    """The reports of a sweep with a worker killed in the middle of a job, and one job that nothing survives."""
    pids, release = folder / "pids", folder / "release"
    jobs = jobs_for(zoo, *TARGETS, **SETTINGS)
    jobs[0] = burdened(jobs[0], Holding(pids, release))
    jobs[-1] = burdened(jobs[-1], Deadly())
    ended: list[tuple[int, int]] = []

    def heard(job: Job, report: Report, done: Done | None) -> None:
        assert done is not None
        ended.append((job.number, done.attempts))
        if len(ended) == len(TARGETS) - 1:
            (pid,) = pids.read_text().split()
            release.touch()
            os.kill(int(pid), signal.SIGKILL)

    release.unlink(missing_ok=True)
    reports = sweep(jobs, engine, tell=heard)
    assert (sorted(ended[:-1]), ended[-1]) == ([(1, 1), (2, 1), (3, 1), (4, 2)], (0, 2))
    assert len(set(pids.read_text().split())) == 2
    assert [report.target for report in reports] == list(TARGETS)
    assert [report.verdict for report in reports] == ["clean", "findings", "findings", "not_checked", "not_checked"]
    lost = reports[-1].error
    assert lost is not None
    assert lost.kind == "WorkerLostError"
    assert lost.message.startswith("good.onnx: tried 2 times, and its ")
    return reports


@pytest.fixture(scope="module")
def local_reports(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    return _swept(LocalEngine(2, retries=1), zoo, tmp_path_factory.mktemp("local"))


def test_processes_here_give_the_reports_of_a_plain_check(local_reports: list[Report], zoo: Path) -> None:
    assert local_reports[:4] == [alone(job) for job in jobs_for(zoo, *TARGETS[:4], **SETTINGS)]
    lost = local_reports[-1].error
    assert lost is not None
    assert "its worker process ended with exit code 3" in lost.message
    assert not [pid for pid in children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_ray_gives_the_reports_of_processes_here(
    cluster: None, local_reports: list[Report], zoo: Path, tmp_path: Path
) -> None:
    reports = _swept(RayEngine(2, retries=1), zoo, tmp_path)
    assert reports[:4] == local_reports[:4]
    assert "its Ray worker was lost (WorkerCrashedError)" in str(reports[-1].error)
    hanging = burdened(jobs_for(zoo, "good.onnx")[0], Holding(tmp_path / "pids", tmp_path / "never"))
    [late] = sweep([hanging], RayEngine(1, seconds=1.0))
    assert "it was not done in time and was ended" in str(late.error)
    with pytest.raises(UsageError, match="the Ray cluster has 0"):
        list(RayEngine(1, gpus=1).run(jobs_for(zoo, "good.onnx")))
    assert ray.is_initialized()  # a cluster that was there before stays


def test_a_job_that_hangs_is_ended_and_the_next_one_runs(zoo: Path, tmp_path: Path) -> None:
    jobs = jobs_for(zoo, "good.onnx", "good.onnx")
    jobs[0] = burdened(jobs[0], Holding(tmp_path / "pids", tmp_path / "never"))
    late, fine = sweep(jobs, LocalEngine(1, seconds=8.0))
    assert late.error is not None
    assert late.error.message.startswith("good.onnx: tried once, and it was not done in time and was ended (--timeout")
    assert fine == alone(jobs[1])


def test_the_service_runs_its_jobs_on_ray_and_a_killed_one_again(cluster: None, tmp_path: Path) -> None:
    server = ServerHere(tmp_path / "data", workers=1, engine="ray").start()
    try:
        with server.client() as client:
            check = give(client, models.slow(), file="slow.onnx")
            worker = _standing_in(tmp_path / "data")
            limit = f"Max address space         {(4 << 30) + len(models.slow())}"
            _until(lambda: limit in Path(f"/proc/{worker}/limits").read_text())
            os.kill(worker, signal.SIGKILL)
            again = ended(client, check["id"])
            assert (again["status"], again["attempt"]) == ("done", 2)
            check = give(client, models.slow(), file="slow.onnx")
            orphan = _standing_in(tmp_path / "data")
            os.kill(_parent(_parent(orphan)), signal.SIGKILL)  # the nursery's: the Ray worker
            _until(lambda: not Path(f"/proc/{orphan}/cwd").exists())
            again = ended(client, check["id"])
            assert (again["status"], again["attempt"]) == ("done", 2)
            assert client.get(f"/v1/checks/{check['id']}/report").json()["target"] == "slow.onnx"
            check = give(client, models.slow(), file="slow.onnx")
            cancelled = _standing_in(tmp_path / "data")
            client.post(f"/v1/checks/{check['id']}/cancel")
            _until(lambda: not Path(f"/proc/{cancelled}/cwd").exists())
            assert ended(client, check["id"])["status"] == "cancelled"
        assert not list((tmp_path / "data" / "jobs").iterdir())
    finally:
        server.stop()


def _standing_in(folder: Path) -> int:
    """The process whose working folder is an upload of the server, once there is one."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for place in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if place.name.isdecimal() and (place / "cwd").readlink().is_relative_to(folder / "jobs"):
                    return int(place.name)
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
