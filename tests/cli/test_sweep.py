"""`initadvisor check` over many targets in processes of their own: one report, resumable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.models import mlp, poisoned
from tests.cli.running import environment, here, run
from tests.service import models

FORMATS = ("json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "concise", "full", "html")


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for index in range(3):
        mlp(tmp_path / "models" / f"m{index}.onnx", depth=2, width=16, seed=index)
    poisoned(tmp_path / "models" / "n.onnx", depth=2, width=16)
    (tmp_path / "models" / "o.onnx").write_bytes(b"")
    return tmp_path


def test_every_format_of_a_sweep_is_that_of_a_plain_check(zoo: Path) -> None:
    def ask(place: str, *more: str) -> subprocess.CompletedProcess[str]:
        (zoo / place).mkdir()
        outputs = [f"--output-format={name}:{place}/{name}" for name in FORMATS]
        return here("check", "models/*.onnx", *outputs, *more, cwd=zoo)

    plain = ask("plain")
    swept = ask("swept", "--jobs=2", "--resume=sweep.jsonl")
    again = ask("again", "--jobs=1", "--resume=sweep.jsonl")
    assert plain.returncode == swept.returncode == again.returncode == 2
    for name in FORMATS:
        expected = (zoo / "plain" / name).read_text()
        assert expected
        assert (zoo / "swept" / name).read_text() == expected
        assert (zoo / "again" / name).read_text() == expected
    lines = [line for line in swept.stderr.splitlines() if line.startswith("[")]
    assert [line.partition("]")[0] for line in lines] == [f"[{done}/5" for done in range(1, 6)]
    assert sum("models/n.onnx: 1 error (" in line for line in lines) == 1
    assert sum("models/o.onnx: not checked (" in line for line in lines) == 1
    assert [line for line in swept.stderr.splitlines() if line.startswith("error: ")] == plain.stderr.splitlines()
    assert again.stderr.count(" (done before)\n") == 5
    quiet = here("check", "models/*.onnx", "--resume=sweep.jsonl", "--quiet", "--output-format=sarif", cwd=zoo)
    assert (quiet.stderr, quiet.stdout) == (plain.stderr, (zoo / "plain" / "sarif").read_text())


def test_an_interrupted_sweep_says_so_and_goes_on(zoo: Path) -> None:
    (zoo / "models" / "z.onnx").write_bytes(models.slow())
    command = ["check", "models/*.onnx", "--jobs", "1", "--resume", "sweep.jsonl", "--output-format", "jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "initadvisor", *command],
        cwd=zoo,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell without job control has what it starts in the background ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until = time.monotonic() + 120
    while not (zoo / "sweep.jsonl").exists() or (zoo / "sweep.jsonl").read_bytes().count(b"\n") < 6:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to all of the group
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip().splitlines()[-1] == "interrupted: 5 of 6 are done; the same command goes on from there"
    assert "Traceback" not in err
    done = run(*command, cwd=zoo)
    assert [line for line in done.stderr.splitlines() if "before" not in line and line.startswith("[")] == [
        line for line in done.stderr.splitlines() if "models/z.onnx" in line
    ]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["target"] for report in reports] == [
        f"models/{name}.onnx" for name in ("m0", "m1", "m2", "n", "o", "z")
    ]


def test_what_does_not_fit_together_is_refused(zoo: Path) -> None:
    for arguments, said in (
        (("models/m0.onnx", "--ray-address=auto"), "--ray-address is for --engine ray"),
        (("models/m0.onnx", "--resume=models/m0.onnx"), "was not written by a sweep"),
        (("models/m0.onnx", "--jobs=0"), "not in the range"),
        (("models/m0.onnx", "--gpus-per-job=1.5"), "cannot have 1.5 GPUs"),
        (("models/*.pt",), "no model file that matches"),
    ):
        done = here("check", *arguments, cwd=zoo)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_factories_and_probes_in_processes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(
        "import os\nfrom torch import nn\n\n"
        "def healthy():\n    print('said by a factory')\n"
        "    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))\n\n"
        "def dead():\n    model = healthy()\n"
        "    nn.init.constant_(model[0].bias, -20.0)\n    return model\n\n"
        "def crash():\n    os.abort()\n"
    )
    common = ("zoo:healthy", "zoo:dead", "--input-shape", "8x16", "--output-format", "jsonl")
    for command in ("check", "probe"):
        plain = run(command, *common, cwd=tmp_path)
        for engine in (("-j2",), ("--engine=ray", "-j2")):
            swept = run(command, *common, *engine, cwd=tmp_path)
            assert (swept.returncode, swept.stdout) == (plain.returncode, plain.stdout)
    crashed = run("check", "zoo:crash", *common, "-j2", "--retries=0", cwd=tmp_path)
    assert crashed.returncode == 2
    assert "zoo:crash: tried once, and its worker process was ended by SIGABRT" in crashed.stderr
    assert [json.loads(line)["verdict"] for line in crashed.stdout.splitlines()] == ["not_checked", "clean", "clean"]


@pytest.mark.long
def test_models_of_libraries_without_numbers(tmp_path: Path) -> None:
    targets = ("torchvision:resnet?8", "timm:resnet1?", "hf:bert", "--meta", "--output-format", "jsonl")
    plain = run("check", *targets, cwd=tmp_path)
    assert plain.returncode in (0, 1), plain.stderr
    assert len(plain.stdout.splitlines()) >= 4
    assert run("check", *targets, "--engine=ray", "-j2", cwd=tmp_path).stdout == plain.stdout
    assert run("check", *targets, "-j2", cwd=tmp_path).stdout == plain.stdout
