"""What docs/service.md says to type, typed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import ROOT, here
from tests.service.running import LIGHT, ServerHere

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"


def _blocks(heading: str) -> str:
    """The indented lines of a section, as they stand."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert lines, heading
    return "\n".join(lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(LIGHT)
    return tmp_path


def test_the_command_line(server: ServerHere, folder: Path) -> None:
    lines = _blocks("From the command line").splitlines()
    assert len(lines) >= 2
    for line in lines:
        program, *words = line.replace(ADDRESS, server.url).split()
        assert program == "initadvisor"
        done = here(*words, cwd=folder)
        assert (done.returncode, done.stderr) == (1, "")
    assert '"2.1.0"' in (folder / "out.sarif").read_text()


def test_python(server: ServerHere, folder: Path) -> None:
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(_blocks("From Python").replace(ADDRESS, server.url), "docs/service.md", "exec"), {})
    assert re.fullmatch(r"findings \d+\n", printed.getvalue())


def test_curl(server: ServerHere, folder: Path, done: dict) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code} %{content_type}\\n"\n')
    with server.client() as client:  # one that may be deleted
        extra = client.post("/v1/checks", content=LIGHT, headers={"content-type": "application/octet-stream"}).json()
    script = (
        _blocks("With curl")
        .replace(ADDRESS, server.url)
        .replace("/ID", f"/{done['id']}")
        .replace("=ID", f"={done['id']}")
    )
    script = script.replace(f'-X DELETE "$url/v1/checks/{done["id"]}', f'-X DELETE "$url/v1/checks/{extra["id"]}')
    script += """\ncurl --json '{"reference": "zf"}' $url/v1/checks"""
    assert """curl --json '{"reference": "resnet50"}' $url/v1/checks`""" in PAGE
    commit = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    ran = subprocess.run(
        ["bash", "-euc", f"git init -q . && git commit -q --allow-empty -m x\n{script}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CURL_HOME": str(folder), **commit},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = [line.split(" ") for line in ran.stderr.splitlines()]
    assert [status for status, *_ in told] == ["202", *["200"] * 6, "409", "204", "202"]
    assert [media.partition(";")[0] for _, media, *_ in told][1:5] == [
        "application/json",
        "application/json",
        "application/sarif+json",
        "text/html",
    ]
    assert "<html" in (folder / "report.html").read_text()
    assert re.search(r"(?i)^location: /v1/checks/[0-9a-f]{32}\r?$", ran.stdout, re.MULTILINE)


def test_every_option_and_default_of_the_table_is_that_of_the_command() -> None:
    from initadvisor.cli.serve import serve

    options = {name: option for option in serve.params for name in option.opts}
    named = re.findall(r"^\| ((?:`--[a-z-]+`(?:, )?)+)[^|]*\| ([^|]+)\|", PAGE, re.MULTILINE)
    assert len(named) >= 5
    for names, values in named:
        for name, value in zip(re.findall(r"--[a-z-]+", names), values.split(","), strict=False):
            default = options[name].default
            if value.strip() not in ("SQLite", "nearest"):
                assert str(default).removesuffix(".0") == value.strip(), name
