"""`advise`: from a described graph, what was measured and what rules found, to a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from initadvisor.errors import UsageError
from initadvisor.graph import Graph, Layer, Layout, Parameter
from initadvisor.initializers import InitSpec
from initadvisor.initializers.recipes import Choice, Choices
from initadvisor.plan.defaults import balanced_weights, default_choices
from initadvisor.plan.flagged import broken_by, by_parameter
from initadvisor.plan.intent import Intent
from initadvisor.plan.moments import at_moments
from initadvisor.plan.policy import Override, decide
from initadvisor.plan.presets import preset_choices
from initadvisor.plan.step import Plan, PlanStep

if TYPE_CHECKING:
    from initadvisor.analysis.facts import TensorFacts
    from initadvisor.rules.finding import Finding


def advise(
    graph: Graph,
    measured: Mapping[str, TensorFacts] | None = None,
    findings: Iterable[Finding] = (),
    *,
    preset: str = "default",
    params: Mapping[str, Any] | None = None,
    policy: Iterable[Override] = (),
    include_trained: bool = False,
    seed: int = 0,
) -> Plan:
    """One step for every trainable parameter of a described graph.

    measured: tensor facts by parameter name; without them nothing is known of what is there. findings: what the rules
    said; what a rule flags at warning or error level is drawn anew even where it looks intended. preset: a named set of
    recipes, or one recipe with `params`, laid over the default advice. policy: the user's own globs, which win.

    Raises UsageError for an unknown preset or parameter.
    """
    measured = measured or {}
    chosen = default_choices(graph)
    asked = preset_choices(graph, preset, params)
    defaults = {name: choice for name, choice in chosen.items() if name not in asked}
    chosen |= asked
    findings = tuple(findings)
    flagged, noticed = by_parameter(graph, findings)
    intent = Intent(graph, measured, include_trained, broken_by(graph, findings))
    overrides = tuple(policy)
    steps = []
    for parameter in graph.parameters.values():
        if parameter.buffer or not parameter.is_float:
            continue
        layer, is_weight = intent.owner.get(parameter.name, (None, False))
        layout = _layout(parameter, layer) if is_weight else None
        rules = (*flagged.get(parameter.name, ()), *noticed.get(parameter.name, ()))
        override = decide(
            overrides, parameter.name, parameter.shape, layer.name if layer is not None else "", is_weight
        )
        spec, reason, rates = _decided(parameter, layout, chosen, intent, override, bool(flagged.get(parameter.name)))
        facts = measured.get(parameter.name)
        steps.append(
            PlanStep(
                parameter=parameter.name,
                shape=parameter.shape,
                dtype=parameter.dtype,
                spec=spec,
                reason=reason,
                layer=layer.name if layer is not None else "",
                layout=layout,
                rules=tuple(dict.fromkeys(rules)),
                replaces=_replaces(parameter, facts),
                safe=True if spec is None else _safe(intent.trained(parameter.name)),
                std_before=facts.std if facts is not None else None,
                mean_before=facts.mean if facts is not None else None,
                aliases=parameter.aliases,
                learning_rate=rates,
            )
        )
    wanted = {step.parameter for step in steps if step.reason.startswith("asked for")} | balanced_weights(graph)
    free = {name: choice for name, choice in defaults.items() if name not in wanted}
    return Plan(graph.target, at_moments(graph, measured, steps, free), seed)


def _decided(
    parameter: Parameter,
    layout: Layout | None,
    chosen: Choices,
    intent: Intent,
    override: Override | None,
    flagged: bool,
) -> tuple[InitSpec | None, str, Mapping[str, float]]:
    """(spec or None for leaving it, the reason, factors on the learning rate)."""
    if override is not None:
        if override.spec is not None:
            override.spec.std(parameter.shape, layout)  # a method that does not fit the shape is the user's error
        return override.spec, f"asked for: {override.why}" if override.why else f'asked for by "{override.pattern}"', {}
    choice = chosen.get(parameter.name)
    kept = intent.reason(parameter)
    hard = kept is not None and kept.startswith(("frozen", "trained", "in no layer", "reparametrised"))
    if kept is not None and (hard or not flagged):
        return None, kept, choice.learning_rate if choice is not None else {}
    if choice is None:
        return None, "nothing better is known for it", {}
    fitted = _fitted(choice, parameter, layout)
    return fitted.spec, fitted.reason, fitted.learning_rate


def _fitted(choice: Choice, parameter: Parameter, layout: Layout | None) -> Choice:
    """The choice, or its first part's method for the whole where the parts do not cover the tensor."""
    try:
        choice.spec.std(parameter.shape, layout)
    except UsageError:
        blocks = choice.spec.params.get("blocks")
        if not blocks:
            raise
        return Choice(InitSpec.from_json(blocks[0]["spec"]), choice.reason, choice.learning_rate)
    return choice


def _layout(parameter: Parameter, layer: Layer | None) -> Layout | None:
    if layer is None or layer.layout is None or layer.kind not in ("linear", "embedding", "recurrent"):
        return None
    used = (*layer.layout.out_axes, *layer.layout.in_axes, *layer.layout.batch_axes)
    return layer.layout if all(axis < len(parameter.shape) for axis in used) else None


def _replaces(parameter: Parameter, facts: TensorFacts | None) -> str:
    if parameter.source is None:
        return "nothing: there are no elements yet"
    if facts is None or facts.std is None:
        return "unknown"
    if facts.constant:
        return f"{facts.mean:.6g}"
    draw = facts.draw
    method = draw.method if draw is not None and draw.method else "unknown"
    return f"{method}, mean {facts.mean:.3g}, std {facts.std:.4g}"


def _safe(trained: bool | None) -> bool | None:
    return None if trained is None else not trained
