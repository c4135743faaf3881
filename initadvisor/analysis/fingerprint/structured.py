"""Draws that have a structure beyond one distribution: constants, identities, orthogonal matrices."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.tensors.sampling import line_sample, whole

LINES = 48
"""Lines whose mutual products are looked at."""

MAX_CENTRE = 1 << 20
"""Elements of the centre tap of a convolution that are gathered to see what it holds."""

NEARLY = 0.5
"""Mean square of the products between lines, relative to independent draws, below which they are repelled."""

_ROUNDING = {"float16": 2e-3, "bfloat16": 1.6e-2, "float8_e4m3fn": 0.2, "float8_e5m2": 0.4}


def structured(evidence: Evidence) -> DrawFacts | None:
    """The draw of a constant, an identity or an orthogonal tensor; None where it is none of these."""
    moments = evidence.moments
    if moments.low == moments.high:
        return _constant(moments.low)
    if len(evidence.shape) < 2 or evidence.count < evidence.moments.view.size:
        return None
    return _identity(evidence) or _centre_tap(evidence) or _orthogonal(evidence)


def line_products(lines: np.ndarray) -> tuple[float, float, float]:
    """(gain, worst, mean square) of the Gram matrix of full lines.

    gain: root mean square norm of a line. worst: largest departure of the Gram matrix from gain^2 * identity, over
    gain^2. mean square: of the products between different lines, over that of independent draws.
    """
    # A unit largest element keeps squares in range; single precision leaves 1e-6 of a square, 1e-4 is looked at.
    matrix = lines / (float(np.abs(lines).max(initial=0.0)) or 1.0)
    gram = (matrix @ matrix.T).astype(np.float64)
    square = float(np.trace(gram)) / gram.shape[0]
    if not square > 0.0:
        return 0.0, np.inf, np.inf
    gram = gram / square - np.eye(gram.shape[0])
    pairs = gram[np.triu_indices_from(gram, 1)]
    gain = sqrt(square) * float(np.abs(lines).max())
    return gain, float(np.abs(gram).max()), float(np.square(pairs).mean()) * matrix.shape[1]


def _constant(value: float) -> DrawFacts:
    name = {0.0: "zeros", 1.0: "ones"}.get(value, "constant")
    return DrawFacts(
        method=name, family="constant", distribution="constant", mode="none", std=0.0, confidence=1.0, trained=False
    )


def _fixed(method: str, family: str, gain: float, std: float, confidence: float = 1.0) -> DrawFacts:
    return DrawFacts(
        method=method, family=family, distribution=family if family == "orthogonal" else "sparse", mode="none",
        gain=gain, std=std, confidence=confidence, trained=False,
    )  # fmt: skip


def _identity(evidence: Evidence) -> DrawFacts | None:
    """c on the diagonal and zeros elsewhere, by a sample of lines and the two sums over all elements."""
    rows, columns = evidence.shape[0], prod(evidence.shape[1:])
    if len(evidence.shape) != 2 or min(rows, columns) < 2:
        return None
    diagonal = min(rows, columns)
    total = evidence.mean * evidence.count
    square = (evidence.std**2 + evidence.mean**2) * evidence.count
    value = total / diagonal
    if value == 0 or abs(square - value * value * diagonal) > 1e-4 * square:
        return None
    step = max(rows // LINES, 1)
    for row in range(0, rows, step):
        line = whole(evidence.source.part(row * columns, (row + 1) * columns))
        expected = value if row < columns else 0.0
        at = float(line[row]) if row < columns else 0.0
        if abs(at - expected) > 1e-4 * abs(value) or np.count_nonzero(line) != (row < columns):
            return None
    return _fixed("identity", "identity", value, evidence.std)


def _centre_tap(evidence: Evidence) -> DrawFacts | None:
    """Kernels that are zero but for their centre: dirac where the centres are an identity, or delta-orthogonal."""
    shape = evidence.shape
    field = prod(shape[2:])
    if len(shape) < 3 or field == 1 or shape[0] * shape[1] > MAX_CENTRE:
        return None
    at = 0
    for size in shape[2:]:
        at = at * size + size // 2
    if np.count_nonzero(evidence.sample) > evidence.sample.size / field + 1:
        return None
    taps = np.empty((shape[0], shape[1]), np.float64)
    width = shape[1] * field
    for row in range(shape[0]):
        line = whole(evidence.source.part(row * width, (row + 1) * width)).reshape(shape[1], field)
        taps[row] = line[:, at]
        if np.count_nonzero(line) != np.count_nonzero(taps[row]):
            return None
    held = taps[taps != 0]
    once = (np.count_nonzero(taps, axis=1) <= 1).all()
    if held.size and once and np.ptp(held) == 0:
        return _fixed("dirac", "identity", float(held[0]), evidence.std)
    gain, worst, _ = line_products(taps if shape[0] <= shape[1] else taps.T)
    if min(taps.shape) >= 2 and worst < 1e-3:
        return _fixed("delta_orthogonal", "orthogonal", gain, evidence.std)
    return None


def _orthogonal(evidence: Evidence) -> DrawFacts | None:
    rows, columns = evidence.shape[0], prod(evidence.shape[1:])
    if min(rows, columns) < 4:
        return None
    lines = full_lines(evidence)
    if lines is None:
        return None
    gain, worst, _ = line_products(lines)
    length = lines.shape[1]
    tolerance = max(2e-4, _ROUNDING.get(evidence.source.dtype, 0.0) * 4 / sqrt(length))
    if worst > min(tolerance, 0.3 / sqrt(length)) or lines.shape[0] * (lines.shape[0] - 1) < 12:
        return None
    blocks = len(evidence.place.blocks)
    if rows > columns and blocks and rows // blocks <= columns:
        gain /= sqrt(blocks)
    return _fixed("orthogonal", "orthogonal", gain, evidence.std)


def full_lines(evidence: Evidence, wanted: int = LINES) -> np.ndarray | None:
    """Complete lines along the longer side of the stored matrix: rows where it is wide, columns where it is tall."""
    rows, columns = evidence.shape[0], prod(evidence.shape[1:])
    if rows > columns:
        kept = evidence.moments.columns
        return None if kept is None else kept.T
    few = line_sample(evidence.source, 4, columns)
    if wanted > 4 and rows > 4 and line_products(few)[1] > 0.3 / sqrt(columns):
        return few
    return line_sample(evidence.source, wanted, columns)
