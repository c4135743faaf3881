"""Random numbers addressed by (seed, parameter name, element index), the same on every machine and in every order."""

from __future__ import annotations

from initadvisor.initializers.draws.deviates import central_mass, fill_normal, fill_uniform, truncated_fill
from initadvisor.initializers.draws.generator import KeyedGenerator
from initadvisor.initializers.draws.key import Key
from initadvisor.initializers.draws.region import Region, draw_region
from initadvisor.initializers.draws.words import WordStream

__all__ = [
    "Key",
    "KeyedGenerator",
    "Region",
    "WordStream",
    "central_mass",
    "draw_region",
    "fill_normal",
    "fill_uniform",
    "truncated_fill",
]
