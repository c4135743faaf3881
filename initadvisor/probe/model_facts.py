"""From a whole run to the facts of the model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from initadvisor.analysis.facts import LayerProbeFacts, ModelProbeFacts, ParameterProbeFacts
from initadvisor.probe.layer_facts import number
from initadvisor.probe.observation import Observation, ParameterSteps
from initadvisor.probe.observer import Seen
from initadvisor.probe.spectrum import effective_rank

_SPACE = 2.0
"""Clip value for the global norm over the median norm: ordinary steps stay as they are."""

_UNITS_LEFT_ALONE = 0.95

_OUTPUT_ROLES = frozenset({"head"})


def model_facts(
    seen: Observation,
    layers: Mapping[str, LayerProbeFacts],
    parameters: Mapping[str, ParameterProbeFacts],
    total_elements: float,
) -> ModelProbeFacts:
    """total_elements: of all float parameters, frozen ones included."""
    facts: dict[str, Any] = {
        "steps": seen.steps,
        "batch_size": seen.batch.size or None,
        "synthetic": seen.batch.synthetic,
        "on": " on a synthetic batch" if seen.batch.synthetic else "",
        "drawn_targets": seen.drawn,
        "selective": seen.batch.synthetic and (seen.batch.selective or seen.batch.evaluation),
        "own_optimizer": seen.own_optimizer,
        "learning_rate": number(seen.learning_rate),
        "failed": seen.failed,
    }
    if not seen.failed and seen.losses:
        facts |= _losses(seen) | _nonfinite(seen) | _path(seen, layers) | _attention(seen) | seen.requested
        if seen.parameters is not None:
            facts |= _gradients(seen.parameters, parameters, total_elements)
    return ModelProbeFacts(**facts)


def _losses(seen: Observation) -> dict[str, Any]:
    later = [loss for loss in seen.losses[1:] if math.isfinite(loss)]
    return {
        "loss": number(seen.losses[0]),
        "loss_last": number(seen.losses[-1]),
        "loss_best": min(later) if later else None,
        "classes": seen.classes,
        "chance_loss": math.log(seen.classes) if seen.classes else None,
        "logit_std": number(seen.logit_std[0]),
        "logit_std_last": number(seen.logit_std[-1]),
        "logit_spread": number(seen.logit_spread[-1]),
        "input_rms": number(seen.input_rms),
        "output_gain": _output_gain(seen),
    }


def _output_gain(seen: Observation) -> float | None:
    """What happens to the values behind the last layer: a temperature, a scaling, a squashing."""
    first = [one for one in seen.seen[0] if one.call == 0] if seen.seen else []
    return _ratio(seen.output_rms, first[-1].rms) if first else None


def _nonfinite(seen: Observation) -> dict[str, Any]:
    origin = seen.origin
    return {
        "nonfinite": seen.bad_step is not None,
        "nonfinite_step": seen.bad_step,
        "nonfinite_phase": "" if seen.bad_step is None else origin.phase if origin else "unknown",
        "nonfinite_op": origin.op if origin else "",
        "nonfinite_at": origin.module if origin else "",
    }


def _path(seen: Observation, layers: Mapping[str, LayerProbeFacts]) -> dict[str, Any]:
    """What happens between the first weighted layer and the last hidden one, in the order in which they ran."""
    first = [one for one in seen.seen[0] if one.call == 0]
    last = {one.site: one for one in seen.seen[-1] if one.call == 0}
    hidden = [one for one in first if seen.sites[one.site].role not in _OUTPUT_ROLES]
    weighted = [one for one in hidden if not seen.sites[one.site].norm]
    facts: dict[str, Any] = {}
    known = [one for one in first if math.isfinite(one.rms)]
    if known:
        largest = max(known, key=lambda one: one.rms)
        facts |= {"largest_rms": largest.rms, "largest_at": seen.sites[largest.site].name}
    if not hidden:
        return facts
    end = hidden[-1]
    final = last.get(end.site)
    facts |= {"last_layer": seen.sites[end.site].name, "cosine": layers[seen.sites[end.site].name].cosine}
    facts["effective_rank"] = effective_rank(final.grams) if final is not None and final.grams is not None else None
    if len(weighted) < 2:
        return facts
    start = weighted[0]
    facts["first_layer"] = seen.sites[start.site].name
    variances = [v for one in weighted if (v := _std(one) ** 2) > 0 and math.isfinite(v)]
    facts["variance_ratio"] = max(variances) / min(variances) if variances else None
    facts["forward_ratio"] = _ratio(_apart(end), _apart(start))
    if final is not None and (beginning := last.get(start.site)) is not None:
        facts["gradient_ratio"] = _ratio(beginning.gradient_norm, final.gradient_norm)
    tokens = [one for one in hidden[len(hidden) // 2 :] if one.tokens is not None and math.isfinite(one.tokens)]
    if tokens:
        least = min(tokens, key=lambda one: one.tokens or 0.0)
        facts |= {"token_rank": least.tokens, "token_rank_at": seen.sites[least.site].name}
    return facts


def _std(one: Seen) -> float:
    return one.values["absmax"] * math.sqrt(max(one.values["second"] - one.values["mean"] ** 2, 0.0))


def _apart(one: Seen) -> float | None:
    """Root mean square of what differs between samples."""
    variance = one.values["unit_variance"]
    return None if math.isnan(variance) else one.values["absmax"] * math.sqrt(max(variance, 0.0))


def _median(values: Iterable[float]) -> float | None:
    """The median of what was measured, infinities included."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else None


def _ratio(over: float | None, under: float | None) -> float | None:
    if over is None or under is None or not under > 0:
        return None
    return number(over / under)


def _attention(seen: Observation) -> dict[str, Any]:
    known = [(value, path) for path, value in seen.entropies if math.isfinite(value)]
    if not known:
        return {}
    value, path = min(known)
    return {"attention_entropy": value, "attention_at": path}


def _gradients(
    steps: ParameterSteps, parameters: Mapping[str, ParameterProbeFacts], total_elements: float
) -> dict[str, Any]:
    sizes, whole = steps.sizes, float(steps.sizes.sum())
    norms = np.sqrt((steps.l2**2).sum(1))
    zero = steps.zero
    finite = [float(n) for n in norms if math.isfinite(n)]
    missing = [name for i, name in enumerate(steps.names) if not steps.present[:, i].any()]
    matrices = {n: p for n, p in parameters.items() if n in steps.twins and p.gradient_rms_last is not None}
    facts: dict[str, Any] = {
        "gradient_norm": number(float(norms[0])),
        "gradient_norm_max": max(finite) if finite else None,
        "asleep_share": float(sizes[zero.all(0)].sum() / whole) if whole else None,
        "zero_at_first": float(sizes[zero[0]].sum() / whole) if whole else None,
        "missing_gradients": len(missing),
        "first_missing": missing[0] if missing else "",
        "frozen_share": 1 - whole / total_elements if total_elements else None,
        "clip_norm": _SPACE * float(np.median(finite)) if finite else None,
    }
    if matrices:
        name, least = min(matrices.items(), key=lambda item: item[1].gradient_rms_last or 0.0)
        facts |= {"smallest_gradient": least.gradient_rms_last, "smallest_gradient_at": name}
    spreads = [s for s in steps.spread.values() if math.isfinite(s)]
    facts["gradient_spread"] = min(spreads) if spreads else None
    updates = [p.update_to_weight for p in matrices.values() if p.update_to_weight is not None]
    facts["median_update"] = float(np.median(updates)) if updates else None
    facts["first_update"] = _median([float(steps.update[0, i]) for i, n in enumerate(steps.names) if n in matrices])
    facts["smallest_update"] = min(updates) if updates else None
    ratios = [r for r in steps.unit_ratios if math.isfinite(r)]
    facts["agc_clip"] = float(np.quantile(ratios, _UNITS_LEFT_ALONE)) if ratios else None
    return facts
