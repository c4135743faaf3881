"""Configuration files: found, read, and refused where they mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from initadvisor.config import Config, NamedTarget, find, read
from initadvisor.errors import ConfigError
from initadvisor.initializers import InitSpec
from initadvisor.plan import Override

FULL = """
targets = ["model.onnx"]
select = ["IA1"]
ignore = ["IA102"]
extend-select = ["IA201"]
preview = true
fail-on = "warning"
rules-dirs = ["rules", "/elsewhere"]
preset = "gpt"
[params]
IA101 = { low = 0.4 }
"IA102.high" = 2
[policy]
"head.*" = { method = "zeros" }
"backbone.*" = "keep"
"""


def test_every_key_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "initadvisor.toml"
    path.write_text(FULL)
    assert read(path) == Config(
        path=path,
        targets=(NamedTarget("model.onnx", "model.onnx"),),
        select=("IA1",),
        ignore=("IA102",),
        extend_select=("IA201",),
        preview=True,
        fail_on="warning",
        rules_dirs=(tmp_path / "rules", Path("/elsewhere")),
        params={"IA101.low": 0.4, "IA102.high": 2},
        preset="gpt",
        policy=(Override("head.*", InitSpec("zeros")), Override("backbone.*", None)),
    )


def test_the_nearest_file_governs(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "initadvisor.toml").write_text('fail-on = "info"')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1")
    assert find(inner).path == tmp_path / "initadvisor.toml"
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.initadvisor]\nfail-on = "warning"')
    assert find(inner).fail_on == "warning"
    (tmp_path / "a" / "initadvisor.toml").write_text("")
    assert find(inner) == Config(path=tmp_path / "a" / "initadvisor.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail_on = 'error'", r'unknown key "fail_on" \(did you mean "fail-on"\?\)'),
        ("selct = []", r'did you mean "select"\?'),
        ("fail-on = 'eror'", r'"eror" is not one of error, warning, info \(did you mean "error"\?\)'),
        ("select = 'IA1'", "select: "),
        ("select = [1]", "select"),
        ("params = { IA101 = 3 }", 'params: "IA101" names no parameter'),
        ("preset = 'gptt'", r'there is no preset "gptt" \(did you mean "gpt"\?\)'),
        ("preset = 1", "preset: "),
        ("policy = { '*' = { method = 'zeross' } }", r'policy "\*": there is no initializer .*did you mean zeros'),
        ("policy = { '*' = { method = 'normal', sdt = 1 } }", "has no parameter 'sdt'"),
        ("policy = { '*' = 3 }", "an initializer was expected"),
        ("= 3", "is not TOML"),
    ],
)
@pytest.mark.parametrize("name", ["initadvisor.toml", "pyproject.toml"])
def test_what_means_nothing_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(f"[tool.initadvisor]\n{text}" if name == "pyproject.toml" else text)
    with pytest.raises(ConfigError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "initadvisor.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        read(path)


def test_a_tool_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool]\ninitadvisor = 3")
    with pytest.raises(ConfigError, match="is not a table"):
        find(tmp_path)
