"""Probes by two processes at once, over gloo on the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import initadvisor
from tests.probe.sharded import MODELS, batch_of, told

ROOT = Path(__file__).parents[2]


def _port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


def _both(work: str, folder: Path, seconds: float) -> list[dict[str, Any]]:
    """What each of two ranks wrote; a deadlock is an error after some seconds."""
    port, script = _port(), Path(__file__).parent / "sharded.py"
    ranks = [
        subprocess.Popen(
            [sys.executable, script, work, folder, str(rank), port], stderr=subprocess.PIPE, env=_environment()
        )
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=seconds)[1].decode() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


WORK = (
    "sharded:mlp",
    "sharded:transformer",
    "copied:mlp",
    "sharded:dead",
    "sharded:vanishing",
    "restored:",
    "failing:sharded-all",
    "failing:copied-first",
    "failing:sharded-one",
)
"""The last leaves the process group without use."""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything in one pair of processes: each takes seconds to start."""
    return _both(",".join(WORK), tmp_path_factory.mktemp("ranks"), 100)


def _alone(name: str) -> dict[str, Any]:
    """The same probe by one process, on the whole batch."""
    torch.manual_seed(5)
    return told(initadvisor.probe(MODELS[name](), batch_of(name), steps=2))


@pytest.mark.parametrize("item", WORK[:5])
def test_every_rank_has_the_same_report(ranks: list[dict[str, Any]], item: str) -> None:
    assert ranks[0][item] == ranks[1][item]


@pytest.mark.parametrize("item", WORK[:3])
def test_shards_and_parts_of_the_batch_give_the_facts_of_the_whole(ranks: list[dict[str, Any]], item: str) -> None:
    name = item.partition(":")[2]
    expected, found = _alone(name)["probe"], ranks[0][item]["probe"]
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["samples"] == expected["samples"]
    for part in ("model", "clip"):
        _alike(found[part], expected[part], part)
    for part in ("layers", "gradients"):
        assert found[part].keys() == expected[part].keys()
        for key, facts in expected[part].items():
            _alike(found[part][key], facts, f"{part} {key}")
    assert [one["module"] for one in found["attention"]] == [one["module"] for one in expected["attention"]]


# Measured on the first samples of each rank, not on those of the whole batch.
OTHER_SAMPLES = {"token_rank", "token_rank_at", "attention_entropy", "attention_at"}


def _alike(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    assert found.keys() == expected.keys(), where
    for key, value in expected.items():
        if key in OTHER_SAMPLES:
            continue
        if key == "mean":  # of a norm's output: what is left of numbers that cancel
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-6 * expected["absmax"]), where
        elif isinstance(value, float):
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-12), f"{where} {key}"
        else:
            assert found[key] == value, f"{where} {key}"


@pytest.mark.parametrize(("name", "rule"), [("dead", "IA615"), ("vanishing", "IA610")])
def test_a_planted_fault_is_found_by_the_same_rules(ranks: list[dict[str, Any]], name: str, rule: str) -> None:
    expected, found = _alone(name), ranks[0][f"sharded:{name}"]
    assert rule in found["rules"]
    assert found["rules"] == expected["rules"]
    assert found["verdict"] == expected["verdict"]


def test_a_training_goes_on_bit_for_bit_as_without_the_probe(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        found = rank["restored:"]
        assert found["same"]
        assert found["losses"][0] == found["losses"][1]


def test_an_error_on_every_rank_leaves_model_and_process_group_usable(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        found = rank["failing:sharded-all"]
        assert "stumbled, on purpose" in found["error"]
        assert found["same"]
        assert found["next"] > 0


@pytest.mark.parametrize("kind", ["copied-first", "sharded-one"])
def test_an_error_on_one_rank_ends_the_probe_on_all_and_everything_is_put_back(
    ranks: list[dict[str, Any]], kind: str
) -> None:
    one, other = (rank[f"failing:{kind}"] for rank in ranks)
    assert "stumbled, on purpose" in other["error"]
    assert one["error"].startswith("TargetCodeError")
    assert ("stumbled, on purpose" if kind == "copied-first" else "waited for another rank in vain") in one["error"]
    assert one["same"]
    assert other["same"]


def test_under_torchrun_one_rank_prints_and_all_leave_with_its_verdict() -> None:
    port = _port()
    factories = ("shards", "copies", "dead_shards")
    command = [sys.executable, "-m", "initadvisor", "probe", *(f"tests.probe.sharded:{name}" for name in factories)]
    command += ["--output-format", "jsonl", "--select", "IA615", "--seed", "3"]
    launcher = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_environment(), **launcher, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=100) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [1, 1], said
    assert said[1] == (b"", b"")
    reports = [json.loads(line) for line in said[0][0].splitlines()]
    assert [report["verdict"] for report in reports] == ["clean", "clean", "findings"]
    for report in reports:
        assert report["probe"]["samples"] == 16
        assert "2 ranks" in report["probe"]["batch"]
