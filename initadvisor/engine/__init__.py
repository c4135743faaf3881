"""Check and advise: load a target, look at it, judge it, plan. `Checker` keeps compiled rules for many targets."""

from initadvisor.engine.advising import advise, plan_for
from initadvisor.engine.api import check
from initadvisor.engine.checker import Checker, CheckSettings, Examination

__all__ = ["CheckSettings", "Checker", "Examination", "advise", "check", "plan_for"]
