"""From runs to a result: which learning rate an initialization is shown at, its figures, the order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

from initadvisor.compare.inits import Init
from initadvisor.compare.model import InitResult, Status, TrainingRun


def result_of(init: Init, runs: Sequence[TrainingRun]) -> InitResult:
    """The figures of an initialization over its runs; the learning rate of the lowest mean training loss counts."""
    rates = sorted({run.learning_rate for run in runs})
    best = min(rates, key=lambda rate: (_train_loss(_at(runs, rate)), rate))
    shown = _at(runs, best)
    scores = [run.final_score for run in shown if run.final_score is not None]
    steps = [math.inf if run.steps_to_target is None else run.steps_to_target for run in shown]
    middle = median(steps)
    loss = _train_loss(shown)
    return InitResult(
        name=init.name,
        description=init.describe(),
        status=_status(shown),
        learning_rate=best,
        train_loss=loss if math.isfinite(loss) else None,
        score=fmean(scores) if scores and len(scores) == len(shown) else None,
        score_std=stdev(scores) if len(scores) > 1 and len(scores) == len(shown) else None,
        reached=sum(math.isfinite(s) for s in steps),
        steps_to_target=float(middle) if math.isfinite(middle) else None,
        runs=tuple(runs),
    )


def not_run(init: Init, reason: str) -> InitResult:
    """The result of an initialization that could not be put on the model."""
    return InitResult(name=init.name, description=init.describe(), status="not_run", reason=reason)


def _at(runs: Sequence[TrainingRun], rate: float) -> list[TrainingRun]:
    return [run for run in runs if run.learning_rate == rate]


def _train_loss(runs: Sequence[TrainingRun]) -> float:
    """Mean over seeds; infinite where one of them diverged."""
    losses = [run.final_train_loss for run in runs]
    return fmean(math.inf if loss is None else loss for loss in losses)


def _status(runs: Sequence[TrainingRun]) -> Status:
    outcomes = {run.outcome for run in runs}
    if "diverged" in outcomes:
        return "diverged"
    return "interrupted" if "interrupted" in outcomes else "trained"


def ranked(results: Sequence[InitResult]) -> tuple[InitResult, ...]:
    """The best first: by held-out score, then by steps to the target, then by training loss; diverged ones last."""
    order = {"trained": 0, "interrupted": 1, "diverged": 2, "not_run": 3}

    def key(result: InitResult) -> tuple[float, float, float, float]:
        return (
            order[result.status],
            -(result.score if result.score is not None else -math.inf),
            result.steps_to_target if result.steps_to_target is not None else math.inf,
            result.train_loss if result.train_loss is not None else math.inf,
        )

    return tuple(sorted(results, key=key))
