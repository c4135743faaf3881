"""Putting the risk that training fails beside the facts of a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from initadvisor.analysis.facts import ModelFacts
from initadvisor.analysis.risk import Scale, read
from initadvisor.rules import flatten
from initadvisor.rules.discovery import packaged_folder

TABLE = "risk.toml"


@lru_cache(maxsize=1)
def scales() -> Mapping[str, Scale]:
    """The scales that ship with the rules; raises RuleError where they cannot be used."""
    return read(packaged_folder() / TABLE)


def assess(model: ModelFacts) -> None:
    """Add the risk to what is known of the predicted signal and to what a probe saw."""
    if model.signal is not None:
        risk = scales()["signal"].risk(flatten("model", model, {}))
        model.signal = model.signal.model_copy(update={"risk": risk})
    if model.probe is not None:
        ahead = model.probe.lookahead_ratio is not None
        risk = scales()["lookahead" if ahead else "probe"].risk(flatten("model", model, {}))
        model.probe = model.probe.model_copy(update={"risk": risk})
