"""Verdicts on single tensors, weighed against their neighbours: training moves all the parameters of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from initadvisor.analysis.facts.tensor import DrawFacts

LEAST_ELEMENTS = 8
"""Elements from which a vector has a say."""

LEAST_VOTERS = 3
"""Neighbours that a vote needs; the circle widens from the module outwards until it holds as many."""

MAJORITY = 0.5

CLEAR = 8.0
"""z-score from which a matrix shows training beyond doubt."""


def settle(draws: Mapping[str, DrawFacts], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, DrawFacts]:
    """Call those tensors trained that look random by themselves but sit among trained ones.

    A few hundred steps leave many matrices statistically indistinguishable from their draw, but hardly a bias, norm
    weight or norm shift: these start at a constant or at a draw that is known exactly. So they vote, and so do
    matrices with clear evidence either way. Tensors that provably nothing moved (`pristine`) keep their verdict.
    """
    votes = {name: vote for name, draw in draws.items() if (vote := _vote(draw, shapes[name])) is not None}
    circles: dict[str, list[bool]] = {}
    for name, vote in votes.items():
        for circle in _circles(name):
            circles.setdefault(circle, []).append(vote)
    settled = dict(draws)
    for name, draw in draws.items():
        if draw.trained is not False or draw.pristine or draw.family in ("constant", "identity", "orthogonal"):
            continue
        voters = next((v for c in _circles(name) if len(v := circles.get(c, [])) >= LEAST_VOTERS), circles.get("", []))
        share = sum(voters) / len(voters) if len(voters) >= LEAST_VOTERS else 0.0
        if share > MAJORITY:
            settled[name] = _moved(draw, share)
    return settled


def _vote(draw: DrawFacts, shape: tuple[int, ...]) -> bool | None:
    """Whether a tensor shows training; None where it cannot tell, as a constant or a matrix close to its draw."""
    if draw.pristine:
        return False
    if len(shape) > 1:
        return True if draw.trained and (draw.trained_score or 0.0) > CLEAR else None
    if prod(shape) < LEAST_ELEMENTS or draw.family == "unknown":
        return None
    return bool(draw.trained)


def _circles(name: str) -> Iterator[str]:
    """The scopes around a parameter from its module outwards; the last is the whole model."""
    scope = name.rpartition(".")[0]
    while scope:
        yield scope
        scope = scope.rpartition(".")[0]
    yield ""


def _moved(draw: DrawFacts, share: float) -> DrawFacts:
    was = draw.method if draw.mode == "none" else f"{draw.method}/{draw.mode}"
    others = dict.fromkeys((was or "unknown", *(draw.alternatives or ())))
    return draw.model_copy(
        update={
            "method": "trained", "family": "trained", "distribution": "other", "mode": "none", "gain": None,
            "bound": None, "trained": True, "departure": "neighbours", "confidence": share,
            "alternatives": tuple(others)[:6],
        }
    )  # fmt: skip
