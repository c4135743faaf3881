"""A grid of signed numbers as coloured cells: blue below zero, red above, pale at zero; and the same as a PNG."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from initadvisor.report.svg.frame import root
from initadvisor.report.svg.markup import element, fitted, label

NEGATIVE, POSITIVE, ZERO = (42, 100, 150), (180, 60, 30), (247, 247, 247)
"""Red, green and blue of the ends and of the middle."""

MOST = 64
"""Cells along a side; finer grids are averaged down to that."""


def heatmap(
    values: np.ndarray, title: str, description: str = "", *, side: float = 180.0, standalone: bool = False
) -> str:
    """A (height, width) grid as SVG, scaled by its largest magnitude; cells that are zero are left out."""
    grid = coarser(np.asarray(values, np.float64))
    height, width = grid.shape
    cell = side / max(height, width)
    top = 20.0
    body = [label(fitted(title, width * cell, 11), 0, 13, size=11)]
    body.append(
        element("rect", x=0, y=top, width=width * cell, height=height * cell, fill=_hex(ZERO), class_="ia-cell")
    )
    colours = rgb(grid)
    for row in range(height):
        column = 0
        while column < width:  # neighbours of one colour are one cell
            end = column + 1
            while end < width and (colours[row, end] == colours[row, column]).all():
                end += 1
            if tuple(colours[row, column]) != ZERO:
                body.append(
                    element(
                        "rect", x=column * cell, y=top + row * cell, width=(end - column) * cell, height=cell,
                        fill=_hex(tuple(colours[row, column])),
                    )
                )  # fmt: skip
            column = end
    return root(width * cell, top + height * cell, title, description, body, standalone=standalone)


def png(values: np.ndarray) -> bytes:
    """A (height, width) grid as a PNG of one pixel a cell."""
    colours = rgb(np.asarray(values, np.float64))
    height, width, _ = colours.shape
    rows = b"".join(b"\0" + colours[row].tobytes() for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def coarser(grid: np.ndarray) -> np.ndarray:
    """The grid averaged over blocks until no side is longer than `MOST`."""
    height, width = grid.shape
    step = -(-max(height, width) // MOST)
    if step == 1:
        return grid
    padded = np.pad(grid, ((0, -height % step), (0, -width % step)), mode="edge")
    found: np.ndarray = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean((1, 3))
    return found


def rgb(grid: np.ndarray) -> np.ndarray:
    """The colours of a grid, (height, width, 3) bytes, in 32 steps either side of zero."""
    known = np.nan_to_num(grid, nan=0.0, posinf=0.0, neginf=0.0)
    most = np.abs(known).max(initial=0.0)
    share = np.round(known / most * 32) / 32 if most > 0 else known
    ends = np.where((share < 0)[..., None], NEGATIVE, POSITIVE)
    weight = np.abs(share)[..., None]
    found: np.ndarray = np.round(weight * ends + (1 - weight) * np.array(ZERO)).astype(np.uint8)
    return found


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)
