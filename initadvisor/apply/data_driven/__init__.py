"""Starts that look at data: LSUV, Kraehenbuehl, GradInit, MetaInit, weight norm, and the revival of dormant units.

    from initadvisor.apply.data_driven import lsuv, revive
    lsuv(model, batch)                             # before training
    revive(model, batch, optimizer=optimizer)      # every thousand steps or so, in the middle of it

Each works on a module in place, on one batch or several, and leaves buffers, modes and the random state as they were.
"""

from __future__ import annotations

from initadvisor.apply.data_driven.dormant import Revived, dormant_units, revive
from initadvisor.apply.data_driven.gradinit import gradinit
from initadvisor.apply.data_driven.kraehenbuehl import kraehenbuehl
from initadvisor.apply.data_driven.lsuv import lsuv
from initadvisor.apply.data_driven.metainit import gradient_quotient, metainit
from initadvisor.apply.data_driven.weight_norm import weight_norm_start

__all__ = [
    "Revived",
    "dormant_units",
    "gradient_quotient",
    "gradinit",
    "kraehenbuehl",
    "lsuv",
    "metainit",
    "revive",
    "weight_norm_start",
]
