"""Two processes that train together, over gloo: the first one looks and tells, both go the same way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import ROOT, environment


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank wrote; a deadlock is an error after some minutes."""
    folder = tmp_path_factory.mktemp("several")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = environment({"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])})
    script = Path(__file__).parent / "several.py"
    ranks = [
        subprocess.Popen([sys.executable, script, folder, str(rank), port], stderr=subprocess.PIPE, env=env)
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=240)[1].decode() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_a_watch_reports_in_the_first_process_only(both: list[dict[str, Any]]) -> None:
    first, second = (rank["watched"] for rank in both)
    assert first["layers"] == ["0", "2", "4"]
    assert second["layers"] is None
    assert first["sum"] == second["sum"]


def test_findings_stop_every_process(both: list[dict[str, Any]]) -> None:
    first, second = (rank["started"] for rank in both)
    assert first["good"] == second["good"] == ""
    assert "does not start well" in first["bad"]
    assert first["bad"] == second["bad"]
    assert (first["bad-reports"], second["bad-reports"]) == (2, 0)
    assert first["synchronised-reports"] == 0, "its norms would wait for the other process for ever"


def test_a_lightning_fit_by_two_processes(both: list[dict[str, Any]]) -> None:
    first, second = (rank["lightning"] for rank in both)
    assert first == {"same": True, "reports": 2}
    assert second == {"same": True, "reports": 0}
