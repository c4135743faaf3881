"""Faults of our own are said in one line too, and spare the other targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from initadvisor import frontends
from initadvisor.cli import main
from tests.cli.models import mlp


def exit_code(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_an_internal_error_exits_with_2_and_spares_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = mlp(tmp_path / "good.onnx")
    load = frontends.load

    def broken(target: Any, options: Any = None) -> Any:
        if str(target) == "odd":
            raise ZeroDivisionError("one\ntwo")
        return load(target, options)

    monkeypatch.setattr(frontends, "load", broken)
    assert exit_code("check", "odd", str(good), "--output-format", "jsonl") == 2
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["verdict"] for row in rows] == ["not_checked", "clean"]
    assert rows[0]["error"]["kind"] == "InternalError"
    assert err.count("\n") == 1
    assert err.startswith("error: internal error, ZeroDivisionError: one\\x0atwo")


def test_running_out_of_memory_is_an_error_like_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(target: Any, options: Any = None) -> Any:
        raise MemoryError

    monkeypatch.setattr(frontends, "load", broken)
    assert exit_code("check", "big") == 2
    assert "MemoryError" in capsys.readouterr().err


def test_an_interrupt_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(target: Any, options: Any = None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(frontends, "load", interrupted)
    assert exit_code("check", "x") == 130
    assert capsys.readouterr().err.strip() == ""
