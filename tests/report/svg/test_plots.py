"""Plots: well-formed whatever the names and values, positions as the scales say, nothing that a policy forbids."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from initadvisor.report.svg import DARK, LIGHT, Bar, Series, bars, histogram, line_plot, sparkline
from initadvisor.report.svg.line import MAX_POINTS
from tests.report.svg.reading import NS, lines, parsed, texts

HOSTILE = "</text></svg><script>alert(1)</script><b>\"'&amp; --> ]]> {{7*7}} \x00\x1b[31m\u202e\ud800\uffff\r\n"
NAN, INF = float("nan"), float("inf")

PLOTS: dict[str, Callable[[str, bool], str]] = {
    "line": lambda text, alone: line_plot(
        [Series(text, [1.0, 10.0, NAN, INF, 0.0, 3.0], names=[text] * 6), Series("b", [2.0, None, 4.0])],
        title=text, description=text, x_label=text, y_label=text, log_y=True, standalone=alone,
    ),
    "histogram": lambda text, alone: histogram(
        [-1.0, 0.0, 1.0], [3, 1], title=text, label=text, curves=[(text, [(-1.0, 0.1), (1.0, 0.4)])], x_label=text,
        standalone=alone,
    ),
    "bars": lambda text, alone: bars(
        [Bar(text, 1e-3, note=text), Bar("b", NAN), Bar("c", -2.0), Bar("d", None)], title=text, standalone=alone
    ),
    "sparkline": lambda text, alone: sparkline([1.0, NAN, 2.0, -INF], title=text, description=text, standalone=alone),
}  # fmt: skip


@pytest.fixture(params=PLOTS)
def plot(request: pytest.FixtureRequest) -> Callable[[str, bool], str]:
    return PLOTS[request.param]


@pytest.mark.parametrize("alone", [False, True])
def test_hostile_text_stays_text(plot: Callable[[str, bool], str], alone: bool) -> None:
    root = parsed(plot(HOSTILE, alone))
    tags = {each.tag.removeprefix(NS) for each in root.iter()}
    assert tags <= {"svg", "title", "desc", "text", "path", "rect", "circle"} | ({"style"} if alone else set())
    assert "alert(1)" in root.findtext(f"{NS}title", "")


def test_a_plot_stands_under_a_strict_policy_and_beside_others(plot: Callable[[str, bool], str]) -> None:
    root = parsed(plot("plot", False))
    for each in root.iter():
        assert not {name for name in each.attrib if name in ("style", "id", "href") or name.startswith("on")}
        assert "url(" not in " ".join(each.attrib.values())


def test_a_plot_says_what_it_is_to_those_who_do_not_see_it(plot: Callable[[str, bool], str]) -> None:
    root = parsed(plot("Signal over depth", False))
    assert root.get("role") == "img"
    assert root[0].tag == f"{NS}title"
    assert root[0].text == "Signal over depth"
    assert root[1].tag == f"{NS}desc"
    assert root[1].text


def test_only_a_plot_that_stands_alone_brings_its_colours_and_its_heading(plot: Callable[[str, bool], str]) -> None:
    assert "prefers-color-scheme" not in plot("heading", False)
    alone = parsed(plot("heading", True))
    assert "prefers-color-scheme:dark" in alone.findtext(f"{NS}style", "")
    assert alone.find(f"{NS}rect[@class='ia-paper']") is not None


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_series_stand_out_from_the_paper(colours: dict[str, str]) -> None:
    """WCAG 2.1: 4.5 : 1 for text; figures would need 3 : 1."""
    for name in ("s1", "s2", "s3", "s4", "s5", "s6", "ink"):
        assert _contrast(colours[name], colours["paper"]) >= 4.5, name
    assert _contrast(colours["rule"], colours["paper"]) >= 3


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_equal_ratios_are_equal_steps_on_a_logarithmic_axis() -> None:
    [points] = lines(line_plot([Series("a", [1e-6, 1e-3, 1.0, 1e3])], title="t", log_y=True), 0)
    steps = [b[1] - a[1] for a, b in pairwise(points)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.15)
    assert steps[0] < 0
    assert [b[0] - a[0] for a, b in pairwise(points)] == pytest.approx(
        [(points[-1][0] - points[0][0]) / 3] * 3, abs=0.15
    )


def test_equal_differences_are_equal_steps_on_a_linear_axis() -> None:
    [points] = lines(line_plot([Series("a", [0.0, 1.0, 2.0, 5.0], x=[0, 10, 20, 50])], title="t"), 0)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
    assert slopes == pytest.approx([slopes[0]] * 3, rel=0.02)


def test_two_series_share_one_axis() -> None:
    svg = line_plot([Series("a", [1.0, 2.0]), Series("b", [2.0, 1.0])], title="t")
    [a], [b] = lines(svg, 0), lines(svg, 1)
    assert [a[0][1], a[1][1]] == [b[1][1], b[0][1]]


def test_what_is_not_finite_leaves_a_gap_and_a_mark() -> None:
    svg = line_plot([Series("a", [1.0, 2.0, NAN, 3.0, 4.0, INF, None, 5.0, 6.0])], title="t")
    assert [len(piece) for piece in lines(svg, 0)] == [2, 2, 2]
    hovers = [t.text for t in parsed(svg).iter(f"{NS}title")]
    assert "a: NaN" in hovers
    assert "a: inf" in hovers
    assert "a: ?" not in hovers, "None is not known: no mark"


def test_zero_leaves_a_gap_on_a_logarithmic_axis_only() -> None:
    series = [Series("a", [1.0, 2.0, 0.0, 3.0, 4.0])]
    assert [len(piece) for piece in lines(line_plot(series, title="t", log_y=True), 0)] == [2, 2]
    assert [len(piece) for piece in lines(line_plot(series, title="t"), 0)] == [5]


@pytest.mark.parametrize("values", [[], [None], [NAN, INF, -INF], [0.0, -1.0]])
def test_a_plot_without_a_single_point_says_so(values: list[float | None]) -> None:
    assert "no values to draw" in texts(line_plot([Series("a", values)], title="t", log_y=True))


@pytest.mark.parametrize(
    "values",
    [[5e-324, 1.7e308], [-1.7e308, 1.7e308], [1e-300, 1e-300], [0.0, 0.0], [1.7e308, 1.7e308], [5e-324, 1e-323],
     [1e16, 1e16 + 2]],
)  # fmt: skip
@pytest.mark.parametrize("log", [False, True])
def test_any_range_of_floats_can_be_drawn(values: list[float], log: bool) -> None:
    for svg in (
        line_plot([Series("a", values)], title="t", log_y=log),
        bars([Bar("a", v) for v in values], title="t", log=log),
    ):
        assert not re.search(r'="[^"]*(nan|inf)', svg)
        parsed(svg)


def test_thousands_of_points_are_few_in_the_file_and_no_spike_is_lost() -> None:
    values = list(np.random.default_rng(0).normal(size=50_000))
    values[31_337] = 40.0
    values[12_345] = -40.0
    svg = line_plot([Series("a", values, names=[f"layer{i}" for i in range(len(values))])], title="t")
    [points] = lines(svg, 0)
    assert len(points) <= MAX_POINTS
    assert len(svg) < 40_000
    heights = [y for _, y in points]
    assert max(heights) - min(heights) > 150, "both spikes reach the ends of the axis"
    assert sorted(x for x, _ in points) == [x for x, _ in points]


def test_a_series_is_told_apart_by_dashes_and_markers() -> None:
    svg = line_plot([Series(f"s{i}", [1.0, 2.0]) for i in range(6)], title="t")
    keys = [p for p in parsed(svg).iter(f"{NS}path") if (p.get("d") or "").endswith("h20")]
    assert len({p.get("stroke-dasharray") for p in keys}) == 6
    assert texts(svg)[:6] == [f"s{i}" for i in range(6)]


def test_areas_of_a_histogram_are_shares() -> None:
    """Bins of widths 1 and 3 with 3 and 1 counts: densities 0.75 and 1/12."""
    svg = histogram([0.0, 1.0, 4.0], [3, 1], title="t", curves=[("d", [(0.0, 0.75), (4.0, 0.0)])])
    outline = next(p.get("d", "") for p in parsed(svg).iter(f"{NS}path") if p.get("class") == "ia-f1 ia-l1")
    numbers = re.match(r"M[\d.]+ ([\d.]+)V([\d.]+)H[\d.]+V([\d.]+)", outline)
    assert numbers is not None
    base, first, second = map(float, numbers.groups())
    assert (base - second) / (base - first) == pytest.approx(1 / 9, abs=0.002)
    curve = next(
        p.get("d", "")
        for p in parsed(svg).iter(f"{NS}path")
        if p.get("class") == "ia-l2" and " " in p.get("d", "") and "h20" not in p.get("d", "")
    )
    assert float(curve[1:].split()[1]) == pytest.approx(first, abs=0.1), "a density of 0.75 is as high as the bin"


@pytest.mark.parametrize("edges", [[0.0], [0.0, 1.0], [0.0, 0.0, 1.0], [0.0, NAN, 1.0]])
def test_edges_that_do_not_fit_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="increasing edges"):
        histogram(edges, [1, 2], title="t")


def test_an_empty_histogram_is_drawn() -> None:
    svg = histogram([0.0, 1.0], [0], title="t")
    assert parsed(svg).tag == f"{NS}svg"
    assert not {"nan", "inf"} & {text.lower() for text in texts(svg)}


def test_bars_are_as_long_as_their_values() -> None:
    svg = bars([Bar("a", 1.0), Bar("b", 2.0), Bar("c", 0.5), Bar("none", NAN)], title="t")
    found = [float(r.get("width", "")) for r in parsed(svg).iter(f"{NS}rect")]
    assert found == pytest.approx([found[0], 2 * found[0], 0.5 * found[0]], abs=0.15)
    assert [t for t in texts(svg) if t in ("1", "2", "0.5", "NaN")] == ["1", "2", "0.5", "NaN"]


def test_bars_beyond_the_limit_are_counted() -> None:
    assert "and 940 more" in texts(bars([Bar(f"l{i}", 1.0) for i in range(1000)], title="t"))


def test_a_long_name_does_not_leave_the_plot() -> None:
    """Texts are fitted by their number of characters: with at most 0.75 em each they stay within the width."""
    name = "module." * 60
    for svg in (
        bars([Bar(name, 1.0, note=name)], title=name, standalone=True),
        line_plot([Series(name, [1.0]), Series("b", [2.0])], title=name, x_label=name, y_label=name, standalone=True),
    ):
        width = float(parsed(svg).get("width", ""))
        for text in parsed(svg).iter(f"{NS}text"):
            assert len(text.text or "") * 0.5 * float(text.get("font-size", "")) < width


def test_a_sparkline_ends_at_its_last_value() -> None:
    svg = sparkline([3.0, 1.0, 2.0], title="t")
    [circle] = parsed(svg).iter(f"{NS}circle")
    assert float(circle.get("cy", "")) == pytest.approx(12.0, abs=0.1), "2 lies midway between 1 and 3"
    assert math.isclose(float(circle.get("cx", "")), 116.0, abs_tol=0.1)
