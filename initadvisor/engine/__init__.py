"""`check`: load a target, look at it, judge it, report. `Checker` keeps the compiled rules for many targets."""

from initadvisor.engine.checker import Checker, CheckSettings, check

__all__ = ["CheckSettings", "Checker", "check"]
