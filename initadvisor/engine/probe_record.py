"""The part of a report that tells how a probe ran and what it saw, in plain values."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from initadvisor.probe.facts import facts_of
from initadvisor.probe.observation import Observation
from initadvisor.rules.vocabulary import clean_text

_SPREAD = ("loss", "gradient_norm", "gradient_ratio", "effective_rank", "logit_std", "cosine")
"""Facts of the model whose range over the seeds is told."""


def probe_record(runs: Sequence[Observation], counts: Counter[str], seed: int) -> dict[str, Any]:
    """`notes` of it are for the report's coverage. counts: in how many runs each finding came up, by fingerprint."""
    first = runs[0]
    facts = facts_of(first, 0.0)
    record: dict[str, Any] = {
        "batch": clean_text(first.batch.description),
        "synthetic": first.batch.synthetic,
        "samples": first.batch.size,
        "loss": first.loss,
        "optimizer": first.optimizer,
        "learning_rate": first.learning_rate,
        "own_optimizer": first.own_optimizer,
        "device": first.device,
        "precision": first.precision,
        "seed": seed,
        "seeds": len(runs),
        "losses": [_plain(loss) for loss in first.losses],
        "model": _known(facts.model),
        "clip": {
            "norm": facts.model.clip_norm,
            "agc": facts.model.agc_clip,
        },
        "layers": {clean_text(name): _known(one) for name, one in facts.layers.items()},
        "gradients": {clean_text(name): _known(one) for name, one in facts.parameters.items()},
        "attention": [{"module": clean_text(path), "entropy": _plain(value)} for path, value in first.entropies],
        "notes": [*_notes(first), *first.notes],
    }
    if len(runs) > 1:
        record["spread"] = _spread(runs)
        record["found_in"] = dict(counts)
        unsure = sum(count < len(runs) for count in counts.values())
        if unsure:
            record["notes"].append(
                f"{unsure} findings came up in only some of the {len(runs)} made-up batches: probe.found_in counts them"
            )
    return record


def _notes(first: Observation) -> list[str]:
    given = "" if first.own_optimizer else ", none was given"
    rate = "" if first.learning_rate is None else f" at {first.learning_rate:g}"
    notes = [clean_text(f"probe: {first.batch.description}")]
    if first.failed:
        return [*notes, clean_text(f"probe: the first step failed at {first.failed_at or 'the model'}: {first.failed}")]
    return [
        *notes,
        f"probe: {first.loss}; {first.steps} steps of {first.optimizer}{rate}{given}; "
        f"{first.device}, {first.precision}",
    ]


def _spread(runs: Sequence[Observation]) -> dict[str, dict[str, float]]:
    facts = [facts_of(run, 0.0).model for run in runs]
    found = {}
    for name in _SPREAD:
        values = [v for v in (getattr(model, name) for model in facts) if v is not None]
        if len(values) > 1:
            found[name] = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return found


def _known(model: Any) -> dict[str, Any]:
    return {key: _plain(value) for key, value in model.model_dump(exclude_none=True).items()}


def _plain(value: Any) -> Any:
    """Numbers that JSON does not have as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return clean_text(value) if isinstance(value, str) else value
