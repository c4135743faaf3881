"""Which GPUs a worker sees."""

from __future__ import annotations

import pytest

from initadvisor.errors import UsageError
from initadvisor.sweep.devices import places, visible
from initadvisor.sweep.local import LocalEngine


@pytest.mark.parametrize(
    ("each", "devices", "expected"),
    [
        (1, ["0", "1"], ["0", "1"]),
        (2, ["0", "1", "2"], ["0,1"]),
        (0.5, ["0", "1"], ["0", "0", "1", "1"]),
        (0.3, ["GPU-a"], ["GPU-a"] * 3),
        (1, [], []),
        (4, ["0", "1"], []),
    ],
)
def test_gpus_are_shared_out(each: float, devices: list[str], expected: list[str]) -> None:
    assert places(each, devices) == expected


@pytest.mark.parametrize("each", [1.5, -1.0, 0.0])
def test_shares_that_cannot_be_are_refused(each: float) -> None:
    with pytest.raises(UsageError, match="cannot have"):
        places(each, ["0", "1"])


def test_what_the_environment_hides_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible() == []
    with pytest.raises(UsageError, match="fewer than 1 GPUs"):
        LocalEngine(2, gpus=1)
