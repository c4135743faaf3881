"""Verdicts on single tensors, weighed against their neighbours: training moves all the parameters of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, prod

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.verdicts import CLEAR

WEIGHTS = {
    "matrix, clear": 7.0,
    "matrix, suspect": 4.5,
    "matrix, plain": -0.7,
    "matrix, proven": -4.0,
    "vector, moved": 3.5,
    "vector, constant": -2.5,
    "vector, drawn": -1.0,
}
"""What a neighbour says for training: ln P(seen | trained 200 steps) - ln P(seen | fresh), rounded towards 0.

Measured on small nets trained on scikit-learn digits and on the same nets fresh, without the bits that prove a fresh
draw (see the benchmark of the fingerprint).
"""

LEAST_ELEMENTS = 8
"""Elements from which a vector has a say."""

LEAST_VOTERS = 3
"""Neighbours that a vote needs; the circle widens from the module outwards until it holds as many."""

CONVINCED = 3.0
"""Log-odds from which the neighbours carry a tensor that looks random by itself: 20 to 1."""

SUSPECT = 4.0
"""z-score from which a matrix is worth a remark; `CLEAR` is that from which there is no doubt."""

_MOST = 30.0


def settle(draws: Mapping[str, DrawFacts], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, DrawFacts]:
    """Call those tensors trained that look random by themselves but sit among trained ones.

    A few hundred steps leave many matrices statistically indistinguishable from their draw, but hardly a bias, norm
    weight or norm shift: these start at a constant or at a draw that is known exactly. Tensors that provably nothing
    moved (`pristine`) and those of a structure that training destroys keep their verdict.
    """
    votes = {name: vote for name, draw in draws.items() if (vote := _vote(draw, shapes[name])) is not None}
    circles: dict[str, list[float]] = {}
    for name, vote in votes.items():
        for circle in _circles(name):
            circles.setdefault(circle, []).append(WEIGHTS[vote])
    settled = dict(draws)
    for name, draw in draws.items():
        if draw.trained is not False or draw.pristine or draw.family in ("constant", "identity", "orthogonal"):
            continue
        voters = next((v for c in _circles(name) if len(v := circles.get(c, [])) >= LEAST_VOTERS), [])
        odds = sum(voters)
        if odds > CONVINCED:
            settled[name] = _moved(draw, 1 / (1 + exp(-min(odds, _MOST))))
    return settled


def _vote(draw: DrawFacts, shape: tuple[int, ...]) -> str | None:
    """The kind of evidence that a tensor gives, as a key of `WEIGHTS`; None where it has no say."""
    if draw.family == "unknown" or prod(shape) < LEAST_ELEMENTS:
        return None
    if len(shape) < 2:
        moved = "vector, moved" if draw.trained else "vector, drawn"
        return "vector, constant" if draw.family == "constant" else moved
    if draw.pristine:
        return "matrix, proven"
    if draw.family in ("constant", "identity", "orthogonal"):
        return None
    score = draw.trained_score or 0.0
    if score > CLEAR:
        return "matrix, clear"
    return "matrix, suspect" if score > SUSPECT else "matrix, plain"


def _circles(name: str) -> Iterator[str]:
    """The scopes around a parameter from its module outwards; the last is the whole model."""
    scope = name.rpartition(".")[0]
    while scope:
        yield scope
        scope = scope.rpartition(".")[0]
    yield ""


def _moved(draw: DrawFacts, confidence: float) -> DrawFacts:
    was = draw.method if draw.mode == "none" else f"{draw.method}/{draw.mode}"
    others = dict.fromkeys((was or "unknown", *(draw.alternatives or ())))
    return draw.model_copy(
        update={
            "method": "trained", "family": "trained", "distribution": "other", "mode": "none", "gain": None,
            "bound": None, "trained": True, "departure": "neighbours", "confidence": confidence,
            "alternatives": tuple(others)[:6],
        }
    )  # fmt: skip
