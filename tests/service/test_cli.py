"""`initadvisor serve` before it serves: what it refuses, in one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from initadvisor.errors import UsageError
from initadvisor.service.settings import tokens_of
from tests.cli.running import here


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INITADVISOR_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "without a token"),
        (("--max-upload", "5X"), "is not a size"),
        (("--max-upload", "0"), "is not a size"),
        (("--reference", "name"), "NAME=TARGET"),
        (("--database-url", "mysql://u:hunter2@h/b"), "SQLite or PostgreSQL"),
        (("--database-url", "sqlite:////no/such/folder/db"), "cannot be used"),
        (("--data-dir", "/proc/nothing"), "data folder"),
        (("--token-file", "gone.txt"), "gone.txt"),
        (("--config", "gone.toml"), "does not exist"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_2(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = here("serve", "--data-dir", str(tmp_path / "data"), "--port", "0", *options, cwd=tmp_path)
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert said in line
    assert "hunter2" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = here("serve", "--data-dir", str(tmp_path / "data"), "--port", port, cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot listen" in done.stderr


def test_there_is_no_way_to_give_a_token_where_all_can_see_it(tmp_path: Path) -> None:
    done = here("serve", "--token", "secret-secret-secret", cwd=tmp_path)
    assert done.returncode == 2
    assert "--token" in done.stderr


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens_of(None) == ()
    monkeypatch.setenv("INITADVISOR_TOKEN", " from-the-environment ")
    assert tokens_of(None) == ("from-the-environment",)
    file = tmp_path / "tokens"
    file.write_text("# old\nfirst-token-of-the-file\n\n second \n")
    assert tokens_of(file) == ("first-token-of-the-file", "second")
    file.write_text("# none\n")
    with pytest.raises(UsageError, match="holds no token"):
        tokens_of(file)
