"""Configuration files: found, read, and refused where they mean nothing."""

from __future__ import annotations

import datetime
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


TARGETS = """
select = ["IA1"]
fail-on = "warning"
[severity]
IA101 = "info"
IA102 = "off"
[params]
IA101 = { low = 0.4, min_fan = 4 }
[policy]
"a" = "keep"
"b" = "keep"
[[suppress]]
layers = "stem"
reason = "known"
[targets.gpt]
target = "models/gpt.onnx"
input-shapes = [[1, 128]]
select = ["IA2"]
severity = { IA102 = "error" }
params = { IA101 = { low = 0.2 } }
policy = { a = { method = "zeros" } }
[[targets.gpt.suppress]]
rules = ["IA103", "variance"]
reason = "meant"
expires = 2027-01-31
[targets.vit]
target = "timm:vit"
"""


def test_a_target_replaces_merges_and_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "initadvisor.toml").write_text(TARGETS)
    monkeypatch.chdir(tmp_path / "inner")
    config = find(Path.cwd())
    assert [(t.name, t.target) for t in config.targets] == [("gpt", "../models/gpt.onnx"), ("vit", "timm:vit")]
    gpt, vit = (config.of(target) for target in config.targets)
    assert (gpt.select, gpt.fail_on, gpt.input_shapes) == (("IA2",), "warning", ((1, 128),))
    assert gpt.severity == {"IA101": "info", "IA102": "error"}
    assert gpt.params == {"IA101.low": 0.2, "IA101.min_fan": 4}
    assert gpt.policy == (Override("b", None), Override("a", InitSpec("zeros")))
    assert [(s.layers, s.rules, s.reason) for s in gpt.suppress] == [
        (("stem",), (), "known"),
        (("*",), ("IA103", "variance"), "meant"),
    ]
    assert gpt.suppress[1].expires == datetime.date(2027, 1, 31)
    assert (vit.select, vit.params["IA101.low"]) == (("IA1",), 0.4)


def test_every_setting_knows_where_it_was_set(tmp_path: Path) -> None:
    path = tmp_path / "initadvisor.toml"
    path.write_text(TARGETS)
    config = read(path)
    gpt = config.of(config.targets[0]).over({"preview": True}, "--preview")
    origins = {key: gpt.origin(key) for key in ("select", "fail_on", "params.IA101.low", "params.IA101.min_fan")}
    assert origins == {
        "select": "[targets.gpt]",
        "fail_on": "initadvisor.toml",
        "params.IA101.low": "[targets.gpt]",
        "params.IA101.min_fan": "initadvisor.toml",
    }
    assert (gpt.origin("preview"), gpt.origin("strict")) == ("--preview", "default")
    assert gpt.origin("policy") == "initadvisor.toml, [targets.gpt]"
    assert [s.origin for s in gpt.suppress] == ["initadvisor.toml", "[targets.gpt]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[targets.a]\nselect = []", 'the key "targets.a.target" is missing'),
        ("[targets.a]\ntarget = 'x'\nselct = []", r'unknown key "targets.a.selct" \(did you mean "select"\?\)'),
        ("[targets.a]\ntarget = 'x'\ninput_shapes = []", r'did you mean "input-shapes"\?'),
        ("[targets.a]\ntarget = 'x'\ninput-shapes = [[0]]", "greater than or equal to 1"),
        ("[targets.a]\ntarget = 'x'\nfail-on = 'eror'", r'targets.a.fail-on: "eror" is not one of error'),
        ("targets = [1]", "a list of texts, or a table for each target"),
        ("targets = 3", "targets: "),
        ("[severity]\nIA1 = 'of'", r'severity.IA1: "of" is not one of error, warning, info, off \(did you mean "off"'),
        ("[[suppress]]\nlayers = '*'", 'the key "suppress.0.reason" is missing'),
        ("[[suppress]]\nlayers = '*'\nreason = ' '", "say why, in a few words"),
        ("[[suppress]]\nreason = 'x'", "name layers, rules or both"),
        ("[[suppress]]\nlayer = '*'\nreason = 'x'", r'unknown key "suppress.0.layer" \(did you mean "layers"\?\)'),
        ("[[suppress]]\nlayers = '*'\nreason = 'x'\nexpires = 20270131", "a date such as 2027-01-31"),
        ("[[suppress]]\nlayers = '*'\nreason = 'x'\nexpires = 'soon'", "suppress.0.expires: "),
    ],
)
def test_what_means_nothing_in_a_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "initadvisor.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read(path)
