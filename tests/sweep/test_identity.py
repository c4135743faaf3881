"""When two jobs are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from initadvisor.sweep.identity import identity
from tests.sweep.jobs import jobs_for


def test_code_in_the_working_folder_counts_and_code_elsewhere_does_not(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "models.py").write_text("one = 1\n")
    (tmp_path / "other.py").write_text("")
    [job] = jobs_for(tmp_path, "pkg.models:one")
    first = identity(job)
    (tmp_path / "other.py").write_text("changed = True\n")
    assert identity(job) == first
    (tmp_path / "pkg" / "models.py").write_text("one = 11\n")
    assert identity(job) != first


def test_every_part_of_a_job_counts_but_its_place(tmp_path: Path) -> None:
    [job] = jobs_for(tmp_path, "timm:resnet18")
    changed = (
        replace(job, target="timm:resnet26"),
        replace(job, kind="probe"),
        replace(job, digest="0"),
        replace(job, probe={"steps": 4}),
        replace(job, explain="fc"),
        replace(job, details=True),
    )
    assert len({identity(each) for each in (job, *changed)}) == len(changed) + 1
    assert identity(replace(job, number=7)) == identity(job)
    [meta] = jobs_for(tmp_path, "timm:resnet18", load=replace(job.settings.load, meta=True))
    assert identity(meta) != identity(job)


def test_a_configuration_of_transformers_counts(tmp_path: Path) -> None:
    [job] = jobs_for(tmp_path, "hf:mine")
    before = identity(job)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"model_type": "bert"}')
    assert identity(job) != before


def test_a_file_that_comes_later_counts(tmp_path: Path) -> None:
    [job] = jobs_for(tmp_path, "model.onnx")
    before = identity(job)
    (tmp_path / "model.onnx").write_bytes(b"")
    assert identity(job) != before
