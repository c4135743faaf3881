"""What the product says of every case before the first step: facts of the model and findings, a line of JSON each.

Judging is apart from training, so that it can be repeated in minutes after a rule has changed. A case is judged as its
first seed draws it, by four looks: `check` without and with the predicted signal, a probe on a batch of the case's
data with the look-ahead, and a probe with the case's own optimizer at the middle one of its learning rates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from initadvisor.analysis import structure
from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.data import DataChecker
from initadvisor.engine.look import View, look
from initadvisor.engine.prober import enrich, sites_of
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.load import load_with_inputs
from initadvisor.probe.batch import given
from initadvisor.probe.facts import facts_of
from initadvisor.probe.ranks import ALONE
from initadvisor.probe.run import run
from initadvisor.probe.settings import ProbeSettings
from initadvisor.rules import Finding, evaluate

from .cases import Case, batch, build
from .runs import each
from .training import MOMENTUM, seconds

VERDICTS = Path(__file__).parent.parent / "results" / "trainability-verdicts.jsonl"
SEED = 0
LOOKS = ("check", "check and signal", "probe", "probe with look-ahead", "probe with optimizer")

_SIGNAL = ("IA5",)


class Judge:
    """Rules compiled once for all cases."""

    def __init__(self) -> None:
        self.static = Checker(CheckSettings())
        self.probing = Checker(CheckSettings(), purpose="probe")
        self.data = DataChecker(Checker(CheckSettings(), purpose="data"))

    def judge(self, case: Case, seed: int = SEED) -> dict[str, Any]:
        """Facts of the model and findings by look."""
        begun = seconds()
        module = build(case, seed)
        inputs, targets = batch(case, seed)
        graph, _ = load_with_inputs(module, LoadOptions(example=inputs), case.key)
        structure.describe(graph)
        view = look(graph, silent)
        checked = evaluate(self.static.compiled, view.subjects, view.available, view.reasons).findings
        row: dict[str, Any] = {"key": case.key, "static": model_facts(view, "") | _extremes(view)}
        row["findings"] = {
            "check": _told([f for f in checked if not f.rule.startswith(_SIGNAL)]),
            "check and signal": _told(checked),
        }
        rate = case.rates[len(case.rates) // 2]
        own = ProbeSettings(optimizer=lambda ps: torch.optim.SGD(ps, rate, momentum=MOMENTUM))
        of_data = self.data.judge({"input": inputs, "labels": targets})[0].findings
        for name, settings in (("probe", ProbeSettings(lookahead=True)), ("probe with optimizer", own)):
            seen = run(
                module,
                sites_of(graph, module),
                given(module, (inputs, targets), with_targets=False),
                None,
                settings,
                "",
                ALONE,
            )
            facts = facts_of(seen, 0.0)
            seen_view = look(graph, silent, lambda s, n, g, facts=facts: enrich(facts, s, n, g), view)  # type: ignore[misc]
            judged = evaluate(self.probing.compiled, seen_view.subjects, {*seen_view.available, "probe"}, view.reasons)
            found = [*judged.findings, *of_data]
            row[name] = {**model_facts(seen_view, "model.probe."), **_layers(facts.layers, facts.parameters)}
            if name == "probe":
                row["findings"]["probe with look-ahead"] = _told(found)
                row["findings"][name] = _told([f for f in found if f.rule != "IA634"])
            else:
                row["findings"][name] = _told(found)
        row["cpu"] = round(seconds() - begun, 2)
        return row


def _told(findings: Iterable[Finding]) -> list[list[str]]:
    """[rule, severity, initializer of the fix or ""], each combination once."""
    return [list(t) for t in sorted({(f.rule, f.severity, (f.fix and f.fix.method) or "") for f in findings})]


def model_facts(view: View, prefix: str) -> dict[str, Any]:
    """The numbers that are known of the model, by the name of the fact."""
    known = view.subjects["model"][0].facts
    return {n: _plain(v) for n, v in known.items() if not isinstance(v, str) and n.startswith(prefix)}


_OF_LAYERS = ("layer.gain", "layer.signal.cosine", "layer.signal.output_rms", "layer.signal.difference_rms",
              "layer.signal.gradient_rms", "layer.signal.weight_gradient_rms", "layer.signal.relative_gradient",
              "tensor.duplicate_rows", "tensor.effective_rank", "tensor.zero_fraction", "tensor.outlier_ratio",
              "bias.absmax")  # fmt: skip


def _extremes(view: View) -> dict[str, Any]:
    """Smallest and largest value over the layers of what is known without running."""
    found: dict[str, Any] = {}
    for name in _OF_LAYERS:
        values = [v for s in view.subjects["layer"] if isinstance(v := s.facts.get(name), float) and math.isfinite(v)]
        if values:
            found[f"{name}.min"], found[f"{name}.max"] = _plain(min(values)), _plain(max(values))
    return found


def _layers(layers: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Extremes over the layers."""
    found: dict[str, Any] = {}
    for prefix, group, names in (
        (
            "layer",
            layers,
            ("dead_units_last", "saturated_units", "flat_units", "cosine", "effective_rank", "rms", "gradient_norm"),
        ),
        ("weight", parameters, ("update_to_weight", "gradient_rms_last", "relative_gradient", "gradient_to_weight")),
    ):
        for name in names:
            values = [v for one in group.values() if (v := getattr(one, name, None)) is not None and math.isfinite(v)]
            if values:
                found[f"{prefix}.{name}.min"], found[f"{prefix}.{name}.max"] = _plain(min(values)), _plain(max(values))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value


def judge_all(cases: Sequence[Case], file: Path = VERDICTS, budget: float = float("inf"), jobs: int = 1) -> int:
    """Judge the cases that have no line yet; gives how many are left."""
    return each(_judged, cases, file, set(read(file)), budget, jobs)


@cache
def _judge() -> Judge:
    return Judge()


def _judged(case: Case) -> dict[str, Any]:
    return _judge().judge(case)


def read(file: Path = VERDICTS) -> dict[str, dict[str, Any]]:
    """The lines by the key of their case."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def silent(*_: Any) -> None:
    """Tell nobody."""
