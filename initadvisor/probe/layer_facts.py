"""From what was seen at a site to its facts."""

from __future__ import annotations

import math
from typing import Any

from initadvisor.analysis.facts import LayerProbeFacts
from initadvisor.probe.observation import Observation
from initadvisor.probe.observer import Seen
from initadvisor.probe.spectrum import effective_rank, mean_cosine


def layer_facts(seen: Observation) -> dict[str, LayerProbeFacts]:
    """Facts of each site that ran, by its name."""
    found: dict[str, LayerProbeFacts] = {}
    first = _by_site(seen.seen[0]) if seen.seen else {}
    last = _by_site(seen.seen[-1]) if seen.seen else {}
    for index, site in enumerate(seen.sites):
        batch, values = seen.norm_batches.get(index, (None, None))
        if index not in first and values is None:
            continue
        found[site.name] = _facts(first.get(index, []), last.get(index, []), batch, values)
    return found


def _by_site(step: list[Seen]) -> dict[int, list[Seen]]:
    calls: dict[int, list[Seen]] = {}
    for one in step:
        calls.setdefault(one.site, []).append(one)
    return calls


def _facts(first: list[Seen], last: list[Seen], batch: int | None, values: int | None) -> LayerProbeFacts:
    norm_facts: dict[str, Any] = {"values_per_channel": number(values), "batch_size": number(batch)}
    if not first:
        return LayerProbeFacts(**norm_facts)
    one, then = first[0], last[0] if last else None
    got = one.values
    absmax, second = got["absmax"], got["second"]
    variance = got["unit_variance"] * absmax**2
    gradient = one.gradient_norm
    return LayerProbeFacts(
        calls=len(first),
        observations=one.observations,
        mean=number(got["mean"] * absmax),
        std=number(absmax * math.sqrt(max(second - got["mean"] ** 2, 0.0)) if math.isfinite(second) else None),
        rms=number(one.rms),
        absmax=number(absmax),
        unit_variance=number(variance),
        difference=number(got["unit_variance"] / second if second > 0 else None),
        zero_share=number(got["zero_share"]),
        zero_share_last=None if then is None else number(then.values["zero_share"]),
        dead_units=number(got["dead_units"]),
        dead_units_last=None if then is None else number(then.values["dead_units"]),
        saturated_units=number(got["saturated_units"]),
        saturated_share=number(got["saturated_share"]),
        flat_units=number(got["flat_units"]),
        cosine=None if one.grams is None else mean_cosine(one.grams[0]),
        effective_rank=None if one.grams is None else effective_rank(one.grams),
        token_rank=number(one.tokens),
        growth=number(first[-1].rms / one.rms if len(first) > 1 and one.rms > 0 else None),
        gradient_norm=number(gradient),
        gradient_rms=None if gradient is None else number(gradient / math.sqrt(one.elements)),
        gradient_rms_last=None
        if then is None or then.gradient_norm is None
        else number(then.gradient_norm / math.sqrt(then.elements)),
        **norm_facts,
    )


def number(value: float | int | None) -> float | None:
    """The number, or None where it is NaN or absent: what was not measured is unknown."""
    return None if value is None or math.isnan(value) else float(value)
