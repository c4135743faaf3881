"""Initialization methods, one file each, behind one table; see `InitSpec` and `METHODS`."""

from __future__ import annotations

from initadvisor.initializers import methods as _methods  # noqa: F401  (fills the table)
from initadvisor.initializers.arrangement import Arrangement, arrange, default_layout
from initadvisor.initializers.code import Code, Framework
from initadvisor.initializers.distributions import (
    Constant,
    Distribution,
    Normal,
    TruncatedNormal,
    Uniform,
    truncated_std,
)
from initadvisor.initializers.draws import Key
from initadvisor.initializers.registry import METHODS, Method, method
from initadvisor.initializers.spec import InitSpec, Part

__all__ = [
    "METHODS",
    "Arrangement",
    "Code",
    "Constant",
    "Distribution",
    "Framework",
    "InitSpec",
    "Key",
    "Method",
    "Normal",
    "Part",
    "TruncatedNormal",
    "Uniform",
    "arrange",
    "default_layout",
    "method",
    "truncated_std",
]
