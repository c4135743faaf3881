"""Names from a stranger, all the way from the command line to every format: they stay names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from initadvisor.report import FORMATS
from tests.cli.models import poisoned
from tests.cli.running import here

NAME = "a\x1b[31m\r\n::error file=x::y\n##[error]%0A::warning::z<b>&amp;]]>|`[l](u)\u202egnp.\u200b@team $(id)"
FILE = NAME.replace("/", "_") + ".onnx"
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f\u200b\u202e]")


def _output(folder: Path, *args: str) -> tuple[int, str, str]:
    done = here("check", *args, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def _harmless(name: str, out: str, err: str) -> None:
    assert not UNSEEN.search(out + err), repr(out + err)
    assert err.count("\n") <= 1
    commands = [line for line in (out + err).splitlines() if line.lstrip().startswith("::")]
    if name != "github":
        assert not commands
    for line in commands:
        assert re.fullmatch(r"::(error|warning|notice) file=[^,:]+,line=\d+,title=[^:,]*::.*", line)
    if name in ("json", "sarif", "gitlab"):
        json.loads(out)
    if name == "jsonl":
        assert [json.loads(line) for line in out.splitlines()]
    if name == "junit":
        ElementTree.fromstring(out)
    if name == "github":
        assert "##[" not in out
    if name == "markdown":
        assert not re.search(r"<b>[^*]|\]\(u\)|@team", out)
    if name == "html":
        assert "z<b>" not in out


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_are_text_whether_found_suppressed_or_unreadable(tmp_path: Path, name: str) -> None:
    poisoned(tmp_path / FILE, prefix=NAME, depth=2)
    code, out, err = _output(tmp_path, FILE, f"--output-format={name}")
    assert (code, err) == (1, "")
    _harmless(name, out, err)

    (tmp_path / "initadvisor.toml").write_text(
        f'[[suppress]]\nrules = ["IA001"]\nreason = {json.dumps(NAME)}\n'
        f'[[suppress]]\nlayers = {json.dumps(NAME)}\nreason = "idle"\n'
    )
    code, out, err = _output(tmp_path, FILE, f"--output-format={name}")
    assert code == 0
    assert err.startswith("warning: unused suppression: every rule on a\\x1b[31m")
    _harmless(name, out, err)

    (tmp_path / FILE).write_bytes(b"broken")
    code, out, err = _output(tmp_path, FILE, f"--output-format={name}")
    assert code == 2
    assert err.startswith("error: ")
    _harmless(name, out, err)
    if name not in ("full", "concise"):
        assert "not checked" in out.lower() or "not_checked" in out or "<error " in out
