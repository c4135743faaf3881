"""What a sweep has done is kept, through interrupts and half-written lines, and done again where it no longer holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from initadvisor.errors import UsageError
from initadvisor.sweep.run import sweep
from initadvisor.sweep.store import HEADER, SweepFile
from tests.cli.models import mlp
from tests.sweep.jobs import OneByOne, alone, jobs_for


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    for index in range(4):
        mlp(tmp_path / f"m{index}.onnx", depth=2, width=16, seed=index)
    return tmp_path


NAMES = tuple(f"m{index}.onnx" for index in range(4))


def _run(file: Path, jobs: list, stop_after: int = 1 << 30) -> OneByOne:
    """What was asked of the engine; the reports are those of a plain check."""
    engine = OneByOne(stop_after)
    with SweepFile(file) as kept:
        reports = sweep(jobs, engine, kept)
    assert reports == [alone(job) for job in jobs]
    return engine


def test_an_interrupted_sweep_goes_on_where_it_was(zoo: Path) -> None:
    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    with pytest.raises(KeyboardInterrupt):
        _run(file, jobs, stop_after=2)
    assert _run(file, jobs).targets == ["m2.onnx", "m3.onnx"]
    assert _run(file, jobs).targets == []
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert [row["target"] for row in rows] == list(NAMES)


@pytest.mark.parametrize("cut", [1, 200])
def test_a_line_that_a_crash_cut_short_is_dropped_and_done_again(zoo: Path, cut: int) -> None:
    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    _run(file, jobs)
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert _run(file, jobs).targets == ["m3.onnx"]
    assert [json.loads(line)["target"] for line in file.read_text().splitlines()[1:]] == list(NAMES)


def test_a_damaged_line_costs_its_own_target_alone(zoo: Path) -> None:
    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    _run(file, jobs)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * 40 + b"\n"
    file.write_bytes(b"".join(lines))
    assert _run(file, jobs).targets == ["m1.onnx"]
    assert _run(file, jobs).targets == []


def test_what_has_changed_is_done_again(zoo: Path) -> None:
    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    _run(file, jobs)
    mlp(zoo / "m1.onnx", depth=2, width=16, seed=77)
    assert _run(file, jobs).targets == ["m1.onnx"]
    (zoo / "m2.onnx.data").write_bytes(b"weights beside the model")
    assert _run(file, jobs).targets == ["m2.onnx"]
    assert _run(file, jobs_for(zoo, *NAMES, ignore=("IA1",))).targets == list(NAMES)
    assert _run(file, [replace(job, details=True) for job in jobs]).targets == list(NAMES)
    assert _run(file, jobs).targets == []


def test_a_touched_file_with_the_same_content_is_not_done_again(zoo: Path) -> None:
    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    _run(file, jobs)
    for name in NAMES:
        (zoo / name).write_bytes((zoo / name).read_bytes())
    assert _run(file, jobs).targets == []


def test_a_job_whose_worker_was_lost_is_done_again(zoo: Path) -> None:
    from initadvisor.sweep.identity import identity
    from initadvisor.sweep.job import Attempt, given_up

    jobs = jobs_for(zoo, *NAMES)
    file = zoo / "sweep.jsonl"
    lost = given_up(Attempt(jobs[0], 3), "its worker was killed")
    with SweepFile(file) as kept:
        kept.add(identity(jobs[0]), jobs[0].target, lost.outcome.report)
    assert _run(file, jobs).targets == list(NAMES)


def test_what_was_not_found_is_looked_for_again(zoo: Path) -> None:
    jobs = jobs_for(zoo, "m0.onnx", "gone.onnx")
    file = zoo / "sweep.jsonl"
    assert _run(file, jobs).targets == ["m0.onnx", "gone.onnx"]
    assert _run(file, jobs).targets == ["gone.onnx"]


def test_a_file_that_is_no_sweep_is_left_alone(zoo: Path) -> None:
    file = zoo / "models.txt"
    file.write_text("resnet18\n")
    with pytest.raises(UsageError, match="was not written by a sweep"):
        SweepFile(file)
    assert file.read_text() == "resnet18\n"
    file.write_bytes(HEADER[:5])  # killed in its first moment
    with SweepFile(file) as kept:
        assert len(kept) == 0
    assert file.read_bytes() == HEADER


def test_two_sweeps_do_not_share_a_file(zoo: Path) -> None:
    with SweepFile(zoo / "sweep.jsonl"), pytest.raises(UsageError, match="in use by another sweep"):
        SweepFile(zoo / "sweep.jsonl")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot open .*No such file"):
        SweepFile(tmp_path / "none" / "sweep.jsonl")
