"""Measurements of the parts of a stacked weight: gates, q/k/v, experts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from initadvisor.analysis.collect.bonds import Bonds
from initadvisor.graph import Block, Layer, Parameter

CHUNK = 1 << 18
"""Elements read at a time: what stays in the cache."""

MAX_SQUARE = 1 << 25
"""Elements of a recurrent weight that are loaded as a whole."""

ROWS = 128
"""Rows of a square block whose angles are looked at."""

ORTHOGONAL_TOLERANCE = 5e-3
"""Largest cosine between rows, and spread of their lengths, that half precision leaves of an orthogonal draw."""


def block_rms(parameter: Parameter, blocks: Sequence[Block]) -> list[float] | None:
    """Root mean square of each block in one streaming pass; None where the elements are not there."""
    source, shape = parameter.source, parameter.shape
    if source is None or not blocks or len({b.axis for b in blocks}) != 1 or parameter.size == 0:
        return None
    axis = blocks[0].axis
    inner = prod(shape[axis + 1 :])
    squares = _squares_along(source, shape[axis], inner)
    counts = parameter.size // shape[axis]
    if squares is None:
        return None
    return [math.sqrt(float(squares[b.start : b.stop].sum()) / max(1, (b.stop - b.start) * counts)) for b in blocks]


def _squares_along(source: Any, size: int, inner: int) -> np.ndarray | None:
    """The sum of squares at each index of an axis of `size`, elements being (outer, size, inner) in C order."""
    period = size * inner
    squares = np.zeros(size, dtype=np.float64)
    if period <= CHUNK:
        for chunk in source.chunks(CHUNK // period * period):
            block = np.asarray(chunk, dtype=np.float64).reshape(-1, size, inner)
            squares += np.einsum("rci,rci->c", block, block)
        return squares
    if inner <= CHUNK:
        rows_at_a_time = CHUNK // inner
        place = 0
        for chunk in source.chunks(rows_at_a_time * inner):
            rows = np.asarray(chunk, dtype=np.float64).reshape(-1, inner)
            index = (place + np.arange(len(rows))) % size
            np.add.at(squares, index, np.einsum("ri,ri->r", rows, rows))
            place += len(rows)
        return squares
    place = 0
    for chunk in source.chunks(CHUNK):
        start = 0
        while start < len(chunk):
            stop = min(len(chunk), start + inner - (place + start) % inner)
            part = np.asarray(chunk[start:stop], dtype=np.float64)
            squares[((place + start) // inner) % size] += float(np.dot(part, part))
            start = stop
        place += len(chunk)
    return squares


def identical_blocks(parameter: Parameter, blocks: Sequence[Block], rms: Sequence[float] | None) -> int | None:
    """The number of blocks along the first axis that repeat an earlier one bit by bit; None where unknown."""
    raw = parameter.source.raw() if parameter.source is not None else None
    if raw is None or rms is None or any(b.axis != 0 for b in blocks):
        return None
    inner = prod(parameter.shape[1:])
    seen: dict[tuple[float, int], list[Block]] = {}
    repeated = 0
    for block, size in zip(blocks, rms, strict=True):
        if size == 0:
            continue
        alike = seen.setdefault((float(np.float32(size)), block.stop - block.start), [])
        own = raw[block.start * inner : block.stop * inner]
        if any(np.array_equal(own, raw[b.start * inner : b.stop * inner]) for b in alike):
            repeated += 1
        else:
            alike.append(block)
    return repeated


def orthogonal_share(parameter: Parameter, layer: Layer) -> float | None:
    """The share of the square blocks of a recurrent weight whose rows are orthogonal and of one length."""
    if parameter.source is None or parameter.size > MAX_SQUARE or layer.layout is None or parameter.size == 0:
        return None
    chunks = [np.array(c, dtype=np.float64) for c in parameter.source.chunks(CHUNK)]
    weight = np.concatenate(chunks).reshape(parameter.shape)
    matrices = weight if weight.ndim == 3 else weight[None]
    spans = sorted({(b.start, b.stop) for b in layer.blocks}) or [(0, matrices.shape[1])]
    square = [m[a:b] for m in matrices for a, b in spans if b - a == m.shape[1] and b - a > 1]
    return sum(map(_is_orthogonal, square)) / len(square) if square else None


def _is_orthogonal(matrix: np.ndarray) -> bool:
    rows = matrix[np.linspace(0, len(matrix) - 1, min(ROWS, len(matrix))).astype(int)]
    lengths = np.linalg.norm(rows, axis=1)
    mean = float(lengths.mean())
    if not np.isfinite(mean) or mean == 0 or float(np.ptp(lengths)) > ORTHOGONAL_TOLERANCE * mean:
        return False
    cosines = (rows @ rows.T) / np.outer(lengths, lengths)
    np.fill_diagonal(cosines, 0.0)
    return float(np.abs(cosines).max()) <= ORTHOGONAL_TOLERANCE


def forget_gate(bonds: Bonds, layer: Layer) -> dict[str, Any]:
    """The forget-gate bias of an LSTM, found at its hidden weights: both bias vectors added."""
    gate = next((b for b in layer.blocks if b.name == "forget"), None)
    if gate is None or layer.weight is None:
        return {}
    partner = _input_half(bonds, layer)
    gates = bonds.graph.parameters[layer.weight].shape[gate.axis]
    total, parts = 0.0, 0
    for name in {x.bias for x in (layer, partner) if x is not None and x.bias is not None}:
        values = _vector(bonds.graph.parameters[name])
        if values is None or values.size % gates:
            return {}
        for vector in values.reshape(-1, gates):
            own = vector[gate.start : gate.stop]
            total += float(own.mean())
            parts += bool((own > 0).all())
        directions = values.size // gates // 2 if values.size > gates else 1
        if directions > 1:
            total, parts = total / directions, parts // directions
    return {"forget_bias": total, "forget_bias_parts": parts}


def _input_half(bonds: Bonds, layer: Layer) -> Layer | None:
    """The input weights of the same cell, entered right before the hidden ones."""
    before = bonds.graph.layers[: bonds.graph.layers.index(layer)]
    return before[-1] if before and before[-1].role == "recurrent_input" else None


def _vector(parameter: Parameter) -> np.ndarray | None:
    if parameter.source is None or parameter.size > MAX_SQUARE:
        return None
    return np.concatenate([np.array(c, dtype=np.float64) for c in parameter.source.chunks(CHUNK)] or [np.zeros(0)])
