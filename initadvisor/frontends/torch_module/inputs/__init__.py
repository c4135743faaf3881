"""Example inputs for a module: the caller's own, or inferred from what the module says about itself."""

from __future__ import annotations

from initadvisor.frontends.torch_module.inputs.search import Search
from initadvisor.frontends.torch_module.inputs.trial import Trial

__all__ = ["Search", "Trial"]
