"""The comparison on a terminal: widths, encodings, hostile names."""

from __future__ import annotations

from functools import cache

import pytest

import initadvisor
from initadvisor.compare.model import Comparison
from initadvisor.compare.text import as_text, linear
from initadvisor.report.escape import width
from tests.compare import models


@cache
def found() -> Comparison:
    return initadvisor.compare(models.tapering, inits="he,xavier,normal:std=30,hippo_legs", steps=10, lr=[0.001, 0.1])


@pytest.mark.parametrize("columns", [20, 24, 40, 60, 80, 110])
@pytest.mark.parametrize("blocks", [True, False])
def test_every_line_fits_and_every_result_is_there(columns: int, blocks: bool) -> None:
    text = as_text(found(), columns=columns, blocks=blocks)
    long = [line for line in text.splitlines() if width(line) > columns]
    assert not long
    assert text.isascii() or blocks
    flat = " ".join(text.split())
    for words in ("he", "xavier", "diverged", "not run"):
        assert words in flat


def test_colour_is_used_only_where_asked_for() -> None:
    assert "\x1b" not in as_text(found(), color=False)
    coloured = as_text(found(), color=True)
    assert "\x1b[" in coloured


def test_names_cannot_steer_the_terminal() -> None:
    hostile = "evil\x1b[2J\u202e[bold]x[/bold]\n::error::"
    first = found().inits[0]
    layers = tuple(layer.model_copy(update={"name": hostile}) for layer in first.shown.start)
    run = first.shown.model_copy(update={"start": layers})
    result = first.model_copy(update={"name": hostile, "runs": (run,)})
    made = found().model_copy(
        update={"target": hostile, "inits": (result,), "conclusion": hostile, "notes": (hostile,)}
    )
    text = as_text(made)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x[/bold]" in text
    assert not any(line.startswith("::error::") for line in text.splitlines())


def test_a_spark_line_runs_from_the_lowest_to_the_highest_mark_and_shows_what_is_not_finite() -> None:
    assert linear([0.0, 0.5, None, 1.0], 4, blocks=False) == "04x7"
    assert linear([i / 99 for i in range(100)], 10, blocks=False)[-1] == "7"
    assert len(linear([0.0] * 100, 10)) == 10
    assert linear([], 10) == ""
