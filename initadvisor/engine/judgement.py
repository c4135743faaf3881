"""The judgement on weights that ships with the rules."""

from __future__ import annotations

from functools import lru_cache

from initadvisor.analysis.transfer_advice import Judgement, read
from initadvisor.rules.discovery import packaged_folder

TABLE = "pretrained.toml"


@lru_cache(maxsize=1)
def judgement() -> Judgement:
    """The table that ships; raises RuleError where it cannot be used."""
    return read(packaged_folder() / TABLE)
