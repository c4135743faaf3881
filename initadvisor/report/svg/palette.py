"""Colours, dashes and markers of series. A series differs from the next in all three, so no colour is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from initadvisor.report.svg.markup import element

LIGHT: Final[Mapping[str, str]] = {
    "s1": "#2a6496", "s2": "#b4501b", "s3": "#3d7a4d", "s4": "#7b4b94", "s5": "#82690f", "s6": "#5a6472",
    "paper": "#ffffff", "ink": "#1d2530", "rule": "#8b95a3",
}  # fmt: skip
DARK: Final[Mapping[str, str]] = {
    "s1": "#7db4e3", "s2": "#f0a075", "s3": "#86c996", "s4": "#c7a0de", "s5": "#d9be62", "s6": "#a9b4c2",
    "paper": "#14181e", "ink": "#e4e8ee", "rule": "#6b7685",
}  # fmt: skip
"""By the name of the custom property without its prefix. Series stand out from the paper by 4.5 : 1."""

SERIES: Final = 6
DASHES: Final = (None, "6 3", "2 3", "9 3 2 3", "12 4", "1 2")
MARKERS: Final = ("circle", "square", "triangle", "diamond", "cross", "ring")


def _properties(colours: Mapping[str, str]) -> str:
    return "".join(f"--ia-{name}:{value};" for name, value in colours.items())


_BY_CLASS = "".join(
    f".ia-svg .ia-{letter}{i}{{{what}:var(--ia-s{i},{LIGHT[f's{i}']})}}"
    for i in range(1, SERIES + 1)
    for letter, what in (("l", "stroke"), ("f", "fill"))
)

STYLE: Final = (
    _BY_CLASS
    + f".ia-svg .ia-rule{{stroke:var(--ia-rule,{LIGHT['rule']})}}"
    + ".ia-svg{max-width:100%;height:auto;font-family:system-ui,sans-serif}"
    + "@media(forced-colors:active){.ia-svg{forced-color-adjust:auto}}"
)
"""What a page includes once for all plots in it; it sets no property, so that the page's own theme decides."""

_STANDALONE: Final = (
    f".ia-alone{{{_properties(LIGHT)}color:var(--ia-ink)}}.ia-alone .ia-paper{{fill:var(--ia-paper)}}"
    f"@media(prefers-color-scheme:dark){{.ia-alone{{{_properties(DARK)}}}}}"
)

ALONE: Final = STYLE + _STANDALONE


def properties(dark: bool) -> str:
    """Declarations of all custom properties, for a rule of a page's stylesheet."""
    return _properties(DARK if dark else LIGHT)


def marker(index: int, x: float, y: float, size: float = 3.0, title: str = "") -> str:
    """The mark of a series at a point. title: markup of a `<title>`, shown on hover."""
    kind, number = MARKERS[index % SERIES], index % SERIES + 1
    css, colour = f"ia-f{number}", LIGHT[f"s{number}"]
    if kind == "circle":
        return element("circle", title, cx=x, cy=y, r=size, class_=css, fill=colour)
    if kind == "square":
        return element("rect", title, x=x - size, y=y - size, width=2 * size, height=2 * size, class_=css, fill=colour)
    if kind == "ring":
        return element(
            "circle", title, cx=x, cy=y, r=size, class_=f"ia-l{number}", fill="none", stroke=colour, stroke_width=1.5
        )
    if kind == "cross":
        lines = f"M{x - size:.1f} {y - size:.1f}l{2 * size:g} {2 * size:g}m0 {-2 * size:g}l{-2 * size:g} {2 * size:g}"
        return element("path", title, d=lines, class_=f"ia-l{number}", stroke=colour, stroke_width=1.5)
    far = 1.35 * size
    shape = (
        f"M{x:.1f} {y - far:.1f}l{far:g} {2 * far:g}h{-2 * far:g}z"
        if kind == "triangle"
        else f"M{x:.1f} {y - far:.1f}l{far:g} {far:g}l{-far:g} {far:g}l{-far:g} {-far:g}z"
    )
    return element("path", title, d=shape, class_=css, fill=colour)
