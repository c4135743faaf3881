"""initadvisor: a linter and advisor for the state that a neural network is in before training.

    report = initadvisor.check(model)
    report = initadvisor.probe(model, batch)
    report = initadvisor.check_data(loader)
    plan = initadvisor.advise(model)
    initadvisor.apply(model, plan)
    result = initadvisor.compare(model, inits="xavier,he")
    client = initadvisor.Client("http://127.0.0.1:8765")

Importing this package imports neither torch nor onnx nor numpy; each function brings what the target needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from initadvisor.apply.data_driven.gradinit import gradinit
    from initadvisor.apply.data_driven.lsuv import lsuv
    from initadvisor.apply.meta import meta_start
    from initadvisor.apply.norms import convert_norms
    from initadvisor.apply.torch_module import apply
    from initadvisor.engine import advise, check
    from initadvisor.engine.attributing import attribute
    from initadvisor.engine.clients import check_clients
    from initadvisor.engine.data import check_data
    from initadvisor.engine.loading_weights import load_pretrained
    from initadvisor.engine.pretrained import pretrained_weights
    from initadvisor.engine.probing import probe
    from initadvisor.errors import InitAdvisorError
    from initadvisor.frontends.markers import suppress
    from initadvisor.plan import Plan
    from initadvisor.report import Report

    # Declared, not imported: these stand above the engine, which reads the version of this package.
    Client: Callable[..., Any]
    assert_init_ok: Callable[..., Report]
    compare: Callable[..., Any]
    watch: Callable[..., Any]

__version__ = "0.1.0"

__all__ = [
    "Client",
    "InitAdvisorError",
    "Plan",
    "Report",
    "__version__",
    "advise",
    "apply",
    "assert_init_ok",
    "attribute",
    "check",
    "check_clients",
    "check_data",
    "compare",
    "convert_norms",
    "gradinit",
    "load_pretrained",
    "lsuv",
    "meta_start",
    "pretrained_weights",
    "probe",
    "suppress",
    "watch",
]

_HOMES = {
    "Client": "initadvisor.service.client",
    "InitAdvisorError": "initadvisor.errors",
    "Plan": "initadvisor.plan",
    "Report": "initadvisor.report",
    "advise": "initadvisor.engine",
    "assert_init_ok": "initadvisor.integrations.assertion",
    "attribute": "initadvisor.engine.attributing",
    "check": "initadvisor.engine",
    "suppress": "initadvisor.frontends.markers",
    "check_clients": "initadvisor.engine.clients",
    "check_data": "initadvisor.engine.data",
    "watch": "initadvisor.integrations.watching",
    "convert_norms": "initadvisor.apply.norms",
    "load_pretrained": "initadvisor.engine.loading_weights",
    "pretrained_weights": "initadvisor.engine.pretrained",
    "gradinit": "initadvisor.apply.data_driven",
    "lsuv": "initadvisor.apply.data_driven",
    "meta_start": "initadvisor.apply.meta",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in ("apply", "compare", "probe"):  # a package that can be called: importing it binds the name
        return import_module(f"initadvisor.{name}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
