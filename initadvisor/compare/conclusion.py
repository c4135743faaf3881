"""The comparison in one sentence, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.compare.model import DataRecord, InitResult, Setup


def conclusion(results: Sequence[InitResult], setup: Setup, data: DataRecord) -> str:
    """Who reached the target when, who did not, and where each ended; in the order of the results."""
    parts: list[str] = []
    said = False
    for result in results:
        if result.status == "not_run":
            continue
        parts.append(_one(result, setup, data, said) + _end(result, setup, data))
        said = said or result.status == "trained"
    return "; ".join(parts) + "." if parts else "No initialization was run."


def score(value: float, data: DataRecord, *, plain: bool = False) -> str:
    """A held-out score as people read it; `plain` keeps to ASCII."""
    if data.task == "classification":
        return f"{value:.1%}"
    return f"R{'2' if plain else '²'} {value:.3f}"


def goal(setup: Setup, data: DataRecord, *, plain: bool = False) -> str:
    """The target score in words."""
    if data.task == "classification":
        return f"{100 * setup.target:.3g}%"
    return f"R{'2' if plain else '²'} {setup.target:g}"


def _one(result: InitResult, setup: Setup, data: DataRecord, said: bool) -> str:
    if result.status == "diverged":
        run = next(run for run in result.best if run.outcome == "diverged")
        return f"{result.name} diverged after {_steps(run.steps)}"
    if result.steps_to_target is not None:
        seeds = f" ({result.reached} of {len(result.best)} seeds)" if result.reached < len(result.best) else ""
        return f"{result.name} reached {goal(setup, data)} after {_steps(result.steps_to_target)}{seeds}"
    if result.status == "interrupted":
        return f"{result.name} was interrupted after {_steps(result.best[-1].steps)}"
    seeds = f" ({result.reached} of {len(result.best)} seeds did)" if result.reached else ""
    if said:
        return f"{result.name} did not in {setup.steps}{seeds}"
    return f"{result.name} did not reach {goal(setup, data)} in {_steps(setup.steps)}{seeds}"


def _end(result: InitResult, setup: Setup, data: DataRecord) -> str:
    end = f", ending at {score(result.score, data)}" if result.score is not None else ""
    rate = f" (learning rate {result.learning_rate:g})" if len(setup.learning_rates) > 1 else ""
    return end + rate


def _steps(count: float) -> str:
    return f"{count:g} step{'s' * (count != 1)}"


def headline(results: Sequence[InitResult], setup: Setup, data: DataRecord) -> str:
    """The best result in a few words."""
    best = results[0] if results else None
    if best is None or best.score is None:
        return "No initialization came through."
    after = f", {goal(setup, data)} after {_steps(best.steps_to_target)}" if best.steps_to_target is not None else ""
    return f"{best.name} came furthest: {score(best.score, data)}{after}."
