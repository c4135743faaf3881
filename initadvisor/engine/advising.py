"""From an examined target to a plan for it, and what to do with a plan that was made before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.alternatives import alternatives
from initadvisor.engine.api import input_shapes
from initadvisor.engine.checker import Checker, CheckSettings, Examination
from initadvisor.errors import UsageError
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    from initadvisor.engine.priors import ClassPrior
    from initadvisor.plan import Override, Plan

TRAINED = "trained: it holds something learned"


def advise(
    target: Any,
    *,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | Iterable[Override] | None = None,
    labels: Any = None,
    class_counts: Sequence[float] | None = None,
    prior: Literal["class", "focal"] | float | None = None,
    only_flagged: bool = False,
    include_trained: bool = False,
    seed: int = 0,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    rules_dirs: Iterable[Path | str] = (),
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    example: Any | None = None,
    allow_pickle: bool = False,
) -> Plan:
    """What each parameter of a model should be drawn from, and why; the model is only read.

    target, select, ignore, rules_dirs, input_shape, example, allow_pickle: as `initadvisor.check` takes them.
    preset: a named set of recipes ("vision", "gpt", "vit", ...), or one recipe with `params` of its own.
    policy: globs over parameter or layer names, which win: {"head.*": {"method": "zeros"}, "backbone.*": "keep"}.
    labels: of the training set (class numbers, rows of 0 and 1, (inputs, labels) or a loader of them), or class_counts,
        samples of each class: the head's bias starts at the log frequencies, of one sigmoid output or of several at
        the logits of the base rates. prior: "focal" or a probability, at which every output starts instead.
    only_flagged: leave alone what no rule has found fault with. include_trained: draw anew what holds something
    learned. seed: of the draws, each of which depends on it and on the name of the parameter alone.

    Raises a subclass of InitAdvisorError where the target cannot be read or a setting is off.
    """
    from initadvisor.engine.priors import prior_of
    from initadvisor.plan import overrides

    known_preset(preset)
    classes = prior_of(labels, class_counts, prior)
    wanted = overrides(policy) if isinstance(policy, Mapping) else tuple(policy or ())
    load = LoadOptions(input_shapes=input_shapes(input_shape), example=example, allow_pickle=allow_pickle)
    settings = CheckSettings(select=tuple(select), ignore=tuple(ignore), rules_dirs=tuple(rules_dirs), load=load)
    return plan_for(
        Checker(settings).examine(target),
        preset=preset,
        params=params,
        policy=wanted,
        classes=classes,
        only_flagged=only_flagged,
        include_trained=include_trained,
        seed=seed,
    )


def plan_for(
    examined: Examination,
    *,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    policy: Iterable[Override] = (),
    classes: ClassPrior | None = None,
    only_flagged: bool = False,
    include_trained: bool = False,
    seed: int = 0,
) -> Plan:
    """The plan for a target that was examined; raises UsageError for an unknown preset or what does not fit.

    classes: what is known of the labels; the user's own globs win over what follows from it.
    """
    from initadvisor.engine.priors import prior_overrides
    from initadvisor.plan import advise as plan
    from initadvisor.plan.score import score

    priors = prior_overrides(examined.graph, classes)

    made = plan(
        examined.graph,
        examined.view.measured,
        examined.judgement.findings,
        preset=preset or "default",
        params=params,
        policy=(*priors, *policy),
        include_trained=include_trained,
        seed=seed,
    )
    asked = {override.why for override in priors}
    if only_flagged:
        made = made.only(lambda step: bool(step.rules) or step.reason.removeprefix("asked for: ") in asked)
    view = examined.view
    failure = examined.graph.coverage.failure
    return replace(
        made,
        notes=(f"{failure}: advised without activations, depth and residual branches",) if failure else (),
        signal=score(examined.graph, view.measured, made.steps, view.forecast),
        alternatives=alternatives(examined.graph, view.measured, view.forecast, made.steps),
    )


def known_preset(name: str | None) -> None:
    """Raise UsageError, with the nearest name, for a preset or recipe that does not exist."""
    if name is None:
        return
    from initadvisor.initializers.recipes import RECIPES
    from initadvisor.plan import PRESETS
    from initadvisor.rules.suggest import did_you_mean

    known = {*PRESETS, *(recipe.replace("_", "-") for recipe in RECIPES)}
    if name.replace("_", "-") not in known:
        hint = did_you_mean(name, known) or f"the presets are {', '.join(sorted(PRESETS))}"
        raise UsageError(f'there is no preset "{name}"', hint=hint)


def fitted(plan: Plan, examined: Examination, *, include_trained: bool = False) -> Plan:
    """A plan made before, for this target as it is now: what has been trained since is left alone unless included.

    Raises UsageError where it names a parameter that the target does not have, or has in another shape.
    """
    from initadvisor.plan.flagged import broken_by
    from initadvisor.plan.intent import Intent

    graph = examined.graph
    names = {alias: p for p in graph.parameters.values() for alias in (p.name, *p.aliases)}
    for step in plan.steps:
        there = names.get(step.parameter)
        if there is None or there.shape != step.shape:
            has = "does not have" if there is None else f"has in shape {there.shape}, not {step.shape}"
            raise UsageError(
                f"the plan names {step.parameter!r}, which {graph.target} {has}", hint="make the plan from this target"
            )
    broken = broken_by(graph, examined.judgement.findings)
    intent = Intent(graph, examined.view.measured, include_trained, broken)
    steps = tuple(
        replace(step, spec=None, reason=TRAINED)
        if step.spec is not None and not include_trained and intent.trained(names[step.parameter].name)
        else _measured(step, examined, names[step.parameter].name)
        for step in plan.steps
    )
    return replace(plan, target=graph.target, steps=steps)


def _measured(step: Any, examined: Examination, name: str) -> Any:
    """The step with the numbers that are there now."""
    facts = examined.view.measured.get(name)
    if facts is None:
        return step
    return replace(step, std_before=facts.std, mean_before=facts.mean)
