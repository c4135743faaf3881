"""Reading plots as XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree

NS = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    """The root of a plot; raises where it is no well-formed XML."""
    return ElementTree.fromstring(svg)


def lines(svg: str, series: int) -> list[list[tuple[float, float]]]:
    """The stretches of the line of a series, as points in pixels."""
    for path in parsed(svg).iter(f"{NS}path"):
        if path.get("class") == f"ia-l{series + 1}" and path.get("stroke-width") == "1.8" and "L" in path.get("d", ""):
            return [_points(piece) for piece in path.get("d", "").split("M")[1:]]
    return []


def _points(piece: str) -> list[tuple[float, float]]:
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", piece.partition("h")[0])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def texts(svg: str) -> list[str]:
    """What stands in the plot as text."""
    return [text.text or "" for text in parsed(svg).iter(f"{NS}text")]
