"""Fits the coefficients of rules/risk.toml on the calibration part, and on nothing else.

    python -m benchmarks.trainability fit

A logistic model over statistics whose transforms, limits and directions are given beforehand: the fit chooses how much
each counts, never which way, so that more of a fault never lowers the risk. A ridge keeps the weights of statistics
that say the same alike. Faults of the learning rate are left out, since the start does not show them, and so are slow
cases, which neither train nor fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from initadvisor.analysis.risk import TRANSFORMS

from .scores import Judged, auc

TABLE = Path(__file__).parent.parent.parent / "rules" / "risk.toml"
RIDGE = 0.2
FOLDS = 5


@dataclass(frozen=True)
class Candidate:
    """A statistic that may count. sign: +1 where more of it is worse."""

    fact: str
    transform: str
    low: float
    high: float
    sign: int


SIGNAL = (
    Candidate("model.signal.cosine", "apart", -5.0, -0.3, -1),
    Candidate("model.signal.scaled_forward_ratio", "log", -6.0, 0.0, -1),
    Candidate("model.signal.end_rms", "distance", 0.3, 5.0, 1),
    Candidate("model.signal.largest_rms", "log", 0.5, 6.0, 1),
    Candidate("model.signal.backward_ratio", "distance", 0.5, 6.0, 1),
    Candidate("model.signal.scaled_backward_ratio", "distance", 0.5, 6.0, 1),
    Candidate("model.signal.smallest_gradient_rms", "log", -8.0, 0.0, -1),
    Candidate("model.signal.largest_weight_gradient_rms", "log", -8.0, 0.0, -1),
    Candidate("model.signal.largest_gradient_rms", "log", 0.0, 4.0, 1),
    Candidate("model.signal.depth_scales", "log", 0.0, 2.0, 1),
    Candidate("model.signal.stream_growth", "log", 0.3, 3.0, 1),
    Candidate("model.residual_branches", "log", 0.0, 1.2, -1),
    Candidate("model.zero_layers", "value", 0.0, 2.0, 1),
    Candidate("model.recurrent_gain", "log", 0.24, 0.5, 1),
    Candidate("model.equal_rows", "value", 0.0, 0.9, 1),
    Candidate("model.smallest_effective_rank", "log", -1.15, 0.0, -1),
)

# A zero head makes outputs, gradients and updates small, and is sound; stock models have it. So the outputs are looked
# at after the last step, and outputs that are zero at first take off what the rest would count against such a network.
PROBE = (
    Candidate("model.probe.logit_std", "log", -25.0, -15.0, 1),
    Candidate("model.signal.risk", "value", 0.0, 1.0, 1),
    Candidate("model.probe.gradient_ratio", "distance", 0.5, 6.0, 1),
    Candidate("model.probe.smallest_gradient", "log", -9.0, -5.0, -1),
    Candidate("model.probe.smallest_gradient", "log", -6.0, -2.0, -1),
    Candidate("model.probe.effective_rank", "log", 0.0, 1.3, -1),
    Candidate("model.probe.logit_std", "log", 0.3, 3.0, 1),
    Candidate("model.probe.logit_spread", "log", -5.0, -0.5, -1),
    Candidate("model.probe.cosine", "apart", -5.0, -0.3, -1),
    Candidate("model.probe.gradient_norm", "log", 0.7, 4.0, 1),
    Candidate("model.probe.loss", "log", 0.5, 4.0, 1),
    Candidate("model.probe.largest_rms", "log", 0.5, 5.0, 1),
    Candidate("model.probe.median_update", "log", -7.0, -5.0, -1),
    Candidate("model.probe.median_update", "log", -2.5, 0.5, 1),
    Candidate("model.probe.smallest_update", "log", -7.0, -4.0, -1),
    Candidate("model.probe.agc_clip", "log", -3.0, -0.6, -1),
    Candidate("model.probe.output_gain", "log", -3.0, 0.0, -1),
    Candidate("model.probe.logit_std_last", "log", -4.0, -1.5, -1),
    Candidate("model.probe.nonfinite", "value", 0.0, 1.0, 1),
    Candidate("model.probe.asleep_share", "value", 0.0, 0.5, 1),
)

LOOKAHEAD = (
    *PROBE,
    Candidate("model.probe.lookahead_ratio", "value", 0.0, 1.0, 1),
    Candidate("model.probe.lookahead_ratio", "log", -3.0, 0.0, 1),
)

NEEDS = {
    "signal": ("model.signal.end_rms",),
    "probe": ("model.probe.steps", "model.probe.nonfinite"),
    "lookahead": ("model.probe.lookahead_ratio",),
}

FRESH = {"signal": 0.5, "probe": 0.0, "lookahead": 0.0}
"""Share of the weights that must look drawn: what is predicted of trained weights says little."""

SEEK = 0.3
"""Risk above which it is predicted what other activations or norms would make of a start: under what rules ask for."""


def design(candidates: Sequence[Candidate], rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Transformed statistics on [0, 1], bad at 1, and the mean of each that stands in for an unknown one."""
    table = np.full((len(rows), len(candidates)), np.nan)
    for j, c in enumerate(candidates):
        for i, row in enumerate(rows):
            value = row.get(c.fact)
            if value is not None and not isinstance(value, str):
                share = (min(max(TRANSFORMS[c.transform](float(value)), c.low), c.high) - c.low) / (c.high - c.low)
                table[i, j] = share if c.sign > 0 else 1 - share
    known = np.isfinite(table)
    means = np.where(known.any(0), np.nan_to_num(table).sum(0) / np.maximum(known.sum(0), 1), 0.0)
    return np.where(known, table, means), means


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = RIDGE) -> tuple[float, np.ndarray]:
    """Intercept and non-negative weights of the ridge-penalised logistic regression of y (0 or 1) on x."""
    from scipy.optimize import minimize

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        logit = w[0] + x @ w[1:]
        value = np.logaddexp(0.0, logit).sum() - y @ logit + 0.5 * ridge * (w[1:] ** 2).sum()
        off = 1 / (1 + np.exp(-logit)) - y
        return value, np.concatenate([[off.sum()], x.T @ off + ridge * w[1:]])

    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    found = minimize(objective, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]


def crossed(x: np.ndarray, y: np.ndarray, keys: Sequence[str]) -> np.ndarray:
    """Risk of each row by a model that was fitted without its fold."""
    folds = np.array([hash_fold(key) for key in keys])
    found = np.zeros(len(y))
    for fold in range(FOLDS):
        intercept, weights = logistic(x[folds != fold], y[folds != fold])
        found[folds == fold] = 1 / (1 + np.exp(-(intercept + x[folds == fold] @ weights)))
    return found


def hash_fold(key: str) -> int:
    """The fold of a case, the same for all its seeds."""
    from .cases import draw

    return draw(key, "fold", range(FOLDS))


def fit(judged: Sequence[Judged], stock: Sequence[Mapping[str, Any]]) -> str:
    """The text of risk.toml from the cases of the calibration part, and from stock models for what is predicted.

    stock: rows of `stock.read`. They train; nobody ran them on these data, so they say nothing to the other looks.
    """
    own = [j for j in judged if j.case.part == "calibration" and j.case.planted != "learning_rate"]
    own = [j for j in own if j.outcome != "slow"]
    y = np.array([float(j.fails) for j in own])
    parts = [_HEAD.format(cases=len(own), failing=int(y.sum()))]
    held_out = np.full(len(own), float(y.mean()))
    for name, candidates in (("signal", SIGNAL), ("probe", PROBE), ("lookahead", LOOKAHEAD)):
        # What rests on the risk of the predicted signal sees it from a fit that left the row out, as it will be later.
        rows = [j.facts() for j in own]
        if name != "signal":
            rows = [{**row, "model.signal.risk": value} for row, value in zip(rows, held_out, strict=True)]
        usable = [i for i, row in enumerate(rows) if all(row.get(need) is not None for need in NEEDS[name])]
        known = [one for one in stock if one.get("static", {}).get(NEEDS["signal"][0]) is not None]
        more = known if name == "signal" else []
        x, means = design(candidates, [*(rows[i] for i in usable), *(one["static"] for one in more)])
        keys = [*(own[i].case.key for i in usable), *(one["key"] for one in more)]
        fails = np.concatenate([y[usable], np.zeros(len(more))])
        intercept, weights = logistic(x, fails)
        risks = crossed(x, fails, keys)
        count = len(usable)
        area = auc(risks[:count], y[usable] > 0)
        said = f"{count} cases; AUC {area:.3f} in {FOLDS}-fold cross-validation."
        if name == "signal":
            held_out[usable] = risks[:count]
            half = float((risks[count:] > 0.5).mean()) if more else 0.0
            said += f" With {len(more)} stock models, {half:.0%} of which had a risk above one half in it."
        parts.append(_section(name, candidates, means, intercept, weights, said))
        print(f"{name}: {said}")
        for c, w in sorted(zip(candidates, weights, strict=True), key=lambda cw: -cw[1]):
            print(f"  {w:6.2f} {c.fact} ({c.transform})")
    return "\n".join(parts)


def _section(
    name: str,
    candidates: Sequence[Candidate],
    means: np.ndarray,
    intercept: float,
    weights: np.ndarray,
    said: str,
) -> str:
    """One table of the file. said: what cross-validation made of it."""
    lines = [f"[{name}]", f"# {said}"]
    terms = []
    for c, mean, weight in zip(candidates, means, weights, strict=True):
        if weight < 0.01:
            continue
        slope = c.sign * weight / (c.high - c.low)
        # w * share = slope * value + offset, for either direction.
        intercept -= slope * (c.low if c.sign > 0 else c.high)
        unknown = c.low + mean * (c.high - c.low) if c.sign > 0 else c.high - mean * (c.high - c.low)
        terms.append(
            f'  {{ fact = "{c.fact}", transform = "{c.transform}", low = {c.low:g}, high = {c.high:g}, '
            f"unknown = {unknown:.3g}, weight = {slope:.4g} }},"
        )
    needs = ", ".join(f'"{need}"' for need in NEEDS[name])
    lines += [
        f"intercept = {intercept:.4f}",
        f"needs = [{needs}]",
        *([f"seek = {SEEK}"] if name == "signal" else []),
        f"fresh = {FRESH[name]}",
        "terms = [",
        *terms,
        "]",
        "",
    ]
    return "\n".join(lines)


_HEAD = """\
# The risk that training fails: logistic models over several statistics at once, one for each way of looking.
#
# risk = 1 / (1 + exp(-(intercept + sum of weight * t))), where t is a fact after its transform ("log": decimal
# logarithm; "distance": its magnitude; "apart": logarithm of 1 less the fact), held inside [low, high]; `unknown`
# stands in where the fact is not known. Nothing is said of a model of which less than `fresh` looks drawn;
# above `seek` it is also predicted what other activations and norms would make of it.
#
# Calibrated, and written, by `python -m benchmarks.trainability fit` on the calibration part of that benchmark:
# {cases} starts of small networks, {failing} of which stayed below half of the way to a trained network in 300 steps of
# SGD with momentum at each of three rates, while the others came all the way at one of them (what was in between, and
# faults of the learning rate, are left out). What is predicted was also fitted to stock models of torchvision and timm,
# which count as trainable. No fit has seen the other part, whose scores are in benchmarks/results/trainability.json.
"""
