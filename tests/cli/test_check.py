"""`initadvisor check`: verdicts, exit codes, formats, streams."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from initadvisor.report import json_schema
from tests.cli.models import mlp, poisoned
from tests.cli.running import environment, imported, run
from tests.report.samples import HOSTILE


def test_a_healthy_model_is_clean(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    done = run("check", "good.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Coverage 100% of parameters" in done.stdout
    assert done.stderr == ""


def test_findings_exit_with_1_and_name_the_layer(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    done = run("check", "bad.onnx", "--output-format", "concise", cwd=tmp_path)
    assert done.returncode == 1
    assert any(line.startswith("bad.onnx:fc0.weight: IA001 error ") for line in done.stdout.splitlines())
    assert "coverage 100% of parameters" in done.stdout.splitlines()[-1]


def test_a_report_recommends_what_the_configuration_asks_for(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", gain=0.1, depth=4)

    def recommended() -> dict[str, str | None]:
        done = run("check", "m.onnx", "--output-format", "json", cwd=tmp_path)
        report = json.loads(done.stdout)
        report = report[0] if isinstance(report, list) else report
        methods = {f["subject"]["tensor"]: f["fix"]["method"] for f in report["findings"] if f["subject"]["tensor"]}
        assert methods, done.stdout
        for layer in report["layers"]:
            if layer["weight"] in methods:
                assert layer["recommended"]["method"] == methods[layer["weight"]]
        return methods

    assert set(recommended().values()) == {"kaiming_normal"}
    (tmp_path / "initadvisor.toml").write_text('preset = "orthogonal"\n[policy]\n"fc1" = {method = "identity"}\n')
    found = recommended()
    assert found.pop("fc1.weight") == "identity"
    assert set(found.values()) == {"orthogonal"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--exit-zero"], 0),
        (["--ignore", "IA001"], 0),
        (["--select", "IA1"], 0),
        (["--select", "non-finite"], 1),
        (["--select", "IA001,IA101", "--ignore", "tensor"], 1),
        (["--fail-on", "info", "--select", "IA001"], 1),
    ],
)
def test_selection_and_exit_codes(tmp_path: Path, options: list[str], code: int) -> None:
    poisoned(tmp_path / "bad.onnx")
    done = run("check", "bad.onnx", *options, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr


def test_an_unreadable_target_exits_with_2_and_the_others_are_reported(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    poisoned(tmp_path / "bad.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a protobuf" * 10)
    done = run(
        "check",
        "broken.onnx",
        "bad.onnx",
        "missing.onnx",
        "good.onnx",
        "--exit-zero",
        "--output-format",
        "jsonl",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["verdict"] for row in rows] == ["not_checked", "findings", "not_checked", "clean"]
    assert "broken.onnx" in rows[0]["error"]["message"]
    assert rows[2]["error"]["kind"] == "NotFoundError"
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)
    for row in rows:
        jsonschema.validate(row, json_schema())


def test_text_output_leaves_unreadable_targets_to_stderr(tmp_path: Path) -> None:
    done = run("check", "missing.onnx", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_json_is_one_object_or_an_array(tmp_path: Path) -> None:
    mlp(tmp_path / "a.onnx")
    one = json.loads(run("check", "a.onnx", "--output-format", "json", cwd=tmp_path).stdout)
    two = json.loads(run("check", "a.onnx", "a.onnx", "--output-format", "json", cwd=tmp_path).stdout)
    assert one["target"] == "a.onnx"
    assert two == [one, one]
    assert one["layers"][0] | {"op": "", "drawn_from": None, "recommended": None} == {
        "name": "fc0",
        "op": "",
        "weight": "fc0.weight",
        "bias": "fc0.bias",
        "shape": [64, 64],
        "fan_in": 64.0,
        "fan_out": 64.0,
        "activation": "relu",
        "norm_before": None,
        "norm_after": None,
        "residual_role": None,
        "depth": 1,
        "tied_to": [],
        "drawn_from": None,
        "recommended": None,
    }


def test_a_report_goes_to_a_file(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    done = run("check", "bad.onnx", "--output-format", "json", "--output-file", "out.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads((tmp_path / "out.json").read_text())["verdict"] == "findings"
    assert sorted(os.listdir(tmp_path)) == ["bad.onnx", "out.json"]


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    done = run("check", "good.onnx", "--output-file", "nowhere/out.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_settings_come_from_the_configuration(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    (tmp_path / "initadvisor.toml").write_text('targets = ["bad.onnx"]\nignore = ["IA001"]\n')
    assert run("check", cwd=tmp_path).returncode == 0
    assert run("check", "--extend-select", "IA001", cwd=tmp_path).returncode == 0
    (tmp_path / "other.toml").write_text('targets = ["bad.onnx"]')
    assert run("check", "--config", "other.toml", cwd=tmp_path).returncode == 1


def test_parameters_change_the_judgement(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    args = ["check", "good.onnx", "--select", "ACME001", "--rules-dir", "mine"]
    assert run("rule", "new", "ACME001", "odd-std", "--folder", "mine", cwd=tmp_path).returncode == 0
    plain = run(*args, "--fail-on", "warning", cwd=tmp_path)
    strict = run(*args, "--fail-on", "warning", "--param", "ACME001.high=0.001", cwd=tmp_path)
    assert (plain.returncode, strict.returncode) == (0, 1), plain.stderr + strict.stderr
    assert "ACME001" in strict.stdout


def test_quiet_says_nothing_about_clean_targets(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    poisoned(tmp_path / "bad.onnx")
    assert run("check", "-q", "good.onnx", cwd=tmp_path).stdout == ""
    shown = run("check", "-q", "good.onnx", "bad.onnx", "--output-format", "concise", cwd=tmp_path).stdout
    assert "bad.onnx" in shown
    assert "good.onnx" not in shown


def test_what_could_not_be_evaluated_can_fail_a_run(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"fc.weight": torch.randn(8, 8)}, tmp_path / "w.safetensors")
    plain = run("check", "w.safetensors", "--output-format", "json", cwd=tmp_path)
    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert "no graph" in json.loads(plain.stdout)["not_evaluated"][0]["reason"]
    strict = run("check", "w.safetensors", "--strict", cwd=tmp_path)
    assert strict.returncode == 2
    assert "--strict" in strict.stderr


def test_a_run_that_could_evaluate_nothing_is_not_clean(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"fc.weight": torch.randn(8, 8)}, tmp_path / "w.safetensors")
    done = run("check", "w.safetensors", "--select", "IA101", cwd=tmp_path)
    assert done.returncode == 2
    assert "no selected rule could be evaluated" in done.stderr


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx", prefix=HOSTILE.replace("\x00", ""))
    for output in ("full", "concise", "json"):
        done = run("check", "bad.onnx", "--output-format", output, cwd=tmp_path)
        assert done.returncode == 1, done.stderr
        assert not any(c in done.stdout for c in "\x1b\r\u202e\u200b")
        assert not any(line.lstrip().startswith("::error") for line in done.stdout.splitlines())


def test_output_survives_a_narrow_encoding(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx", prefix="重み")
    done = run("check", "bad.onnx", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 1
    assert "\\u91cd\\u307f0" in done.stdout


def test_checking_an_onnx_file_imports_no_torch(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    names = {module.split(".")[0] for module in imported("check", "good.onnx", cwd=tmp_path)}
    assert "numpy" in names
    assert not {"torch", "torchvision", "rich"} & names


def on_terminal(*args: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What a run writes to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "initadvisor", *args],
        cwd=cwd,
        env=environment({"TERM": "xterm", "COLUMNS": "60", **(env or {})}),
        stdout=follower,
        stderr=follower,
        stdin=subprocess.DEVNULL,
    )
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    process.wait(timeout=60)
    return b"".join(chunks).decode("utf-8")


def test_color_on_a_terminal_unless_refused(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    assert "\x1b[1;31m" in on_terminal("check", "bad.onnx", cwd=tmp_path)
    plain = on_terminal("check", "bad.onnx", "--quiet", cwd=tmp_path, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert all(len(line) <= 60 for line in plain.splitlines())


def factory(folder: Path, line: str) -> dict[str, str]:
    """Write `mine.py` with a factory that runs a line first; the environment that finds it."""
    code = f"import time\nfrom torch import nn\ndef make():\n    {line}\n    return nn.Linear(8, 8)\n"
    (folder / "mine.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join((environment()["PYTHONPATH"], str(folder)))}


def test_progress_is_shown_on_a_terminal_and_removed(tmp_path: Path) -> None:
    env = factory(tmp_path, "time.sleep(2)")
    shown = on_terminal("check", "mine:make", cwd=tmp_path, env=env)
    assert "mine:make: reading" in shown
    assert shown.rindex("\x1b[K") < shown.index("Coverage")


def test_stdout_holds_the_report_alone(tmp_path: Path) -> None:
    env = factory(tmp_path, "print('hello'); time.sleep(1)")
    done = run("check", "mine:make", "--output-format", "json", cwd=tmp_path, env=env)
    assert json.loads(done.stdout)["target"] == "mine:make"
    assert done.stderr == "hello\n"


def test_explain_follows_the_signal_to_a_layer(tmp_path: Path) -> None:
    done = run("check", str(mlp(tmp_path / "m.onnx")), "--explain", "fc3")
    assert done.returncode == 0
    assert "Signal on its way to fc3" in done.stdout
    assert "Gradient on its way back to fc3" in done.stdout
    as_json = run("check", str(tmp_path / "m.onnx"), "--explain", "fc3", "--output-format", "json")
    found = json.loads(as_json.stdout)["explanation"]
    assert [step["operator"] for step in found["forward"]][-1] in ("gemm", "linear")
    assert found["layer"] == "fc3"


def test_explain_of_an_unknown_layer_exits_with_2_and_close_names(tmp_path: Path) -> None:
    done = run("check", str(mlp(tmp_path / "m.onnx")), "--explain", "fc33")
    assert done.returncode == 2
    assert "there is no layer 'fc33'" in done.stderr
    assert '"fc3"' in done.stderr
    assert done.stdout == ""


def test_a_narrow_encoding_gets_digits_for_curves(tmp_path: Path) -> None:
    done = run("check", str(mlp(tmp_path / "m.onnx")), env={"PYTHONIOENCODING": "ascii"})
    assert "Predicted signal over 10 layers" in done.stdout
    assert "\\u2" not in done.stdout
