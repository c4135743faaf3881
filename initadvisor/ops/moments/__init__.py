"""Moment handlers: how every operator changes the statistics of a signal, one file an operator family."""

from initadvisor.ops.moments import (
    activations,
    attention,
    contractions,
    elementwise,
    gates,
    joins,
    losses,
    norms,
    pooling,
    products,
    recurrent,
    recurrent_cells,
    reductions,
    selection,
    shapes,
    sources,
    weighted,
    writing,
)
from initadvisor.ops.moments.registry import BACKWARD, FORWARD, Call
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.unpropagated import NOT_PROPAGATED

__all__ = [
    "BACKWARD",
    "FORWARD",
    "NOT_PROPAGATED",
    "Call",
    "Gradient",
    "Signal",
    "activations",
    "attention",
    "contractions",
    "elementwise",
    "gates",
    "joins",
    "losses",
    "norms",
    "pooling",
    "products",
    "recurrent",
    "recurrent_cells",
    "reductions",
    "selection",
    "shapes",
    "sources",
    "weighted",
    "writing",
]
