"""The predicted signal for people: curves over depth and the way to a layer."""

from __future__ import annotations

import pytest

from initadvisor.report import Explanation, LayerRow, PathStep, Report, SignalRow, render
from initadvisor.report.curve import BLOCKS, DIGITS
from initadvisor.report.escape import width
from tests.report.samples import HOSTILE, report


def _deep(count: int, prefix: str = "layer", **fields: object) -> Report:
    names = [f"{prefix}{place}" for place in range(count)]
    rows = tuple(LayerRow(name=name, op="linear", shape=(4, 4)) for name in names)
    signal = tuple(
        SignalRow(layer=name, depth=place, output_rms=10.0**-place, gradient_rms=1.0)
        for place, name in enumerate(names)
    )
    return report(layers=rows, signal=signal, **fields)


def test_two_curves_with_their_ends() -> None:
    text = render([_deep(8)], "full")
    assert "Predicted signal over 8 layers, layer0 to layer7" in text
    assert f"forward   {BLOCKS[::-1]}  1 to 1e-07" in text
    assert "gradient" in text


def test_digits_where_the_output_has_no_blocks() -> None:
    text = render([_deep(8)], "full", blocks=False)
    assert DIGITS[::-1] in text
    assert text.isascii()


def test_color_is_sent_only_where_it_is_wanted() -> None:
    assert "\x1b" not in render([_deep(8)], "full")
    assert "\x1b" in render([_deep(8)], "full", color=True)


@pytest.mark.parametrize("columns", [20, 34, 60, 110])
def test_curves_and_ways_fit_the_screen(columns: int) -> None:
    steps = tuple(
        PathStep(
            operator="linear", where=f"blocks.{n}.mlp.fc1", q_in=1.0, q_out=2.0, factor=2.0, joins=(("skip", 3.0),)
        )
        for n in range(5)
    )
    shown = _deep(300, explanation=Explanation(layer="blocks.4.mlp.fc1", forward=steps, backward=steps))
    lines = render([shown], "full", columns=columns).splitlines()
    assert all(width(line) <= columns for line in lines)


def test_a_layer_without_a_matrix_and_a_model_of_one_layer_draw_nothing() -> None:
    rows = (LayerRow(name="fc", op="linear", shape=(4, 4)), LayerRow(name="norm", op="layer_norm", shape=(4,)))
    signal = tuple(SignalRow(layer=row.name, output_rms=1.0) for row in rows)
    assert "Predicted" not in render([report(layers=rows, signal=signal)], "full")
    assert "Predicted" not in render([report()], "full")


def test_the_middle_of_a_long_way_is_summed_up() -> None:
    steps = tuple(
        PathStep(operator="linear", where=f"fc{n}", q_in=2.0**n, q_out=2.0 ** (n + 1), factor=2.0) for n in range(100)
    )
    text = render([report(explanation=Explanation(layer="fc99", forward=steps))], "full")
    assert "... 72 more" in text
    assert f"{2.0**6:.3g}" in text
    assert f"x{2.0**72:.3g}" in text
    assert "fc0" in text
    assert "fc99" in text
    assert "fc50" not in text


def test_operators_that_change_nothing_are_left_out_and_what_joins_is_named() -> None:
    steps = (
        PathStep(operator="reshape", where="stem", q_in=1.0, q_out=1.0, factor=1.0),
        PathStep(operator="add", where="block", q_in=1.0, q_out=3.0, factor=3.0, joins=(("block.fc", 2.0),)),
        PathStep(operator="mystery", where="end", q_in=3.0),
    )
    text = render([report(explanation=Explanation(layer="fc", forward=steps, assumed=("head",)))], "full")
    assert "reshape" not in text
    assert "(joined by block.fc 2)" in text
    assert "mystery" in text
    assert "head holds zeros" in text


def test_hostile_names_are_shown_as_escapes() -> None:
    steps = (PathStep(operator=HOSTILE, where=HOSTILE, q_in=1.0, q_out=2.0, factor=2.0, joins=((HOSTILE, 1.0),)),)
    shown = _deep(3, HOSTILE, explanation=Explanation(layer=HOSTILE, forward=steps, assumed=(HOSTILE,)))
    text = render([shown], "full", blocks=False)
    assert all(character.isprintable() or character == "\n" for character in text)
