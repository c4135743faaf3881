"""What each parameter should be drawn from and why: `advise` makes a `Plan` from a described graph."""

from __future__ import annotations

from initadvisor.plan.advise import advise
from initadvisor.plan.policy import Override, overrides
from initadvisor.plan.presets import PRESETS
from initadvisor.plan.step import Plan, PlanStep

__all__ = ["PRESETS", "Override", "Plan", "PlanStep", "advise", "overrides"]
