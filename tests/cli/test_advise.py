"""`initadvisor advise`: forms, streams, configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initadvisor.plan import Plan
from tests.cli.models import mlp, poisoned
from tests.cli.running import here, imported, run


def test_text_says_what_from_what_and_why(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", gain=1.0, depth=30)
    done = run("advise", "m.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "m.onnx: 60 of 60 parameters drawn anew, seed 0"
    assert any(line.startswith("orthogonal(gain=1.41421") for line in lines)
    assert any("relu needs a gain of 1.414" in line for line in lines)
    row = next(line.split() for line in lines if line.startswith("    fc1.weight "))
    # sqrt(2 / 64), the rule about the stretch that it is in, and the one that found fault with itself
    assert (row[1], *row[-3:]) == ("64x64", "0.1768", "IA103,", "IA118")


def test_json_is_a_plan_and_goes_to_a_file(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", gain=1.0)
    done = here("advise", "m.onnx", "--emit", "json", "--output-file", "plan.json", "--seed", "5", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    plan = Plan.from_json((tmp_path / "plan.json").read_text())
    assert (plan.seed, plan.target, len(plan)) == (5, "m.onnx", 20)
    assert plan.to_json() == Plan.from_json(json.loads((tmp_path / "plan.json").read_text())).to_json()


def test_json_has_no_number_that_json_does_not_have(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx", depth=2)
    done = here("advise", "bad.onnx", "--emit", "json", cwd=tmp_path)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    steps = json.loads(done.stdout, parse_constant=refuse)["steps"]
    assert steps[0]["rules"] == ["IA001"]
    assert steps[0]["method"] != "keep"


def test_code_is_python_and_that_for_pytorch_mends_the_model(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from tests.integration.faults import xavier_stack\n\n"
        "def mended():\n    from starting import init_weights\n    model = xavier_stack()\n"
        "    init_weights(model)\n    return model\n"
    )
    mlp(tmp_path / "m.onnx", depth=2)
    for framework in ("keras", "flax"):
        done = here("advise", "m.onnx", "--emit", framework, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        compile(done.stdout, framework, "exec")
        assert "def init_weights" in done.stdout
    done = run(
        "advise", "nets:xavier_stack", "--emit", "pytorch", "--output-file", "starting.py", "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    checked = run("check", "nets:mended", "--input-shape", "2x64", "--fail-on", "warning", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_flagged_says_what_is_left(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    done = here("advise", "good.onnx", "--only-flagged", cwd=tmp_path)
    assert done.stdout.startswith("good.onnx: 0 of 20 parameters drawn anew")
    assert "not asked for: fc0.weight" in done.stdout
    assert "and 14 more" in done.stdout


def test_the_policy_of_the_configuration_wins_over_a_preset(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", depth=4)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.initadvisor]\npreset = "orthogonal"\n'
        '[tool.initadvisor.policy]\n"fc3.*" = {method = "zeros"}\n"fc0.*" = "keep"\n'
    )

    def methods(*more: str) -> dict[str, str]:
        done = here("advise", "m.onnx", "--emit", "json", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return {step["parameter"]: step["method"] for step in json.loads(done.stdout)["steps"]}

    by_config, by_option = methods(), methods("--preset", "default")
    for found in (by_config, by_option):
        assert (found["fc3.weight"], found["fc0.weight"]) == ("zeros", "keep")
    assert (by_config["fc1.weight"], by_option["fc1.weight"]) == ("orthogonal", "kaiming_normal")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["missing.onnx"], "missing.onnx"),
        (["m.onnx", "--preset", "orthogonl"], 'there is no preset "orthogonl" (did you mean "orthogonal"?)'),
        (["m.onnx", "--emit", "fortran"], "'fortran' is not one of"),
        (["m.onnx", "--seed", "-1"], "-1 is not in the range"),
        ([], "missing argument"),
    ],
)
def test_what_cannot_be_done_exits_with_2(tmp_path: Path, args: list[str], said: str) -> None:
    mlp(tmp_path / "m.onnx", depth=2)
    done = here("advise", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_advice_on_an_onnx_file_brings_no_torch(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", depth=2)
    names = {module.split(".")[0] for module in imported("advise", "m.onnx", cwd=tmp_path)}
    assert "numpy" in names
    assert "torch" not in names


def test_a_plan_is_scored_before_and_after(tmp_path: Path) -> None:
    path = mlp(tmp_path / "weak.onnx", gain=0.5)
    text = " ".join(run("advise", str(path)).stdout.split())
    assert "predicted spread over 9 places of the trunk" in text
    found = json.loads(run("advise", str(path), "--emit", "json").stdout)["signal"]
    assert found["before"]["forward"] > 100 * found["after"]["forward"]
    assert found["before"]["gradient"] > 100 * found["after"]["gradient"]
