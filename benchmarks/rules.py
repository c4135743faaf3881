"""What the rules say of stock models, and what they find of planted faults: false alarms beside recall.

    python benchmarks/rules.py zoo      # all torchvision models at their own random initialization
    python benchmarks/rules.py faults   # model x layer x fault
    python benchmarks/rules.py          # both

Writes benchmarks/results/rules.json. A stock model at its own initialization is healthy: each error-level finding
there is a false alarm, and warnings are counted. A planted fault counts as found where the rule that should names
the layer, and as a false alarm where anything else is said at error level, or anything at warning level of another
layer that the untouched model did not already have.
"""

from __future__ import annotations

import argparse
import datetime
import inspect
import json
import math
import os
import platform
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision

from initadvisor import __version__
from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.results import report_of
from initadvisor.frontends.options import LoadOptions
from initadvisor.report import Report
from initadvisor.rules import Subject

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "rules.json"
sys.path.insert(0, str(ROOT.parent))

Facts = Mapping[str, Any]

SEEDS = (0, 1, 2)
LAYERS: dict[str, tuple[str, ...]] = {
    "resnet18": ("conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.downsample.0", "layer4.1.conv1"),
    "vgg11": ("features.0", "features.3", "features.11", "features.18", "classifier.0", "classifier.3"),
    "vit_b_16": ("encoder.layers.encoder_layer_0.mlp.0", "encoder.layers.encoder_layer_11.mlp.3"),
    "mlp": ("0", "4", "10"),
}
FAULT_NAMES = ("x10", "x0.1", "zeroed", "constant", "identical-filters", "duplicated-filters", "nan")
NAMED_BY: dict[str, frozenset[str]] = {
    "x10": frozenset({"IA102", "IA116", "IA117", "IA304"}),
    "x0.1": frozenset({"IA101", "IA116", "IA117"}),
    "zeroed": frozenset({"IA002", "IA003", "IA204"}),
    "constant": frozenset({"IA004"}),
    "identical-filters": frozenset({"IA005"}),
    "duplicated-filters": frozenset({"IA006"}),
    "nan": frozenset({"IA001"}),
}
"""The rules that may name a fault; which of them depends on the place of the layer."""

MARGINS: dict[str, tuple[str, float, Callable[[Facts], float | None]]] = {
    "IA008": ("outlier ratio", 3.0, lambda f: _fact(f, "tensor.outlier_ratio") if f["tensor.count"] >= 64 else None),
    "IA012": ("one over effective rank", 2.0, lambda f: _inverse(_fact(f, "tensor.effective_rank", at_least=16))),
    "IA013": ("spread of the units over chance", 2.0, lambda f: _spread(f)),
}
"""Rule -> what it compares, its threshold, and the measure: how near healthy layers come is what it was set from."""


def _fact(facts: Facts, name: str, at_least: float = 0) -> float | None:
    value = facts.get(name)
    sides = (facts["layer.fan_in"], facts.get("layer.fan_out") or 0)
    return float(value) if value is not None and min(sides) >= at_least else None


def _inverse(value: float | None) -> float | None:
    return 1 / value if value else None


def _spread(facts: Facts) -> float | None:
    value = _fact(facts, "tensor.row_std_spread", at_least=16)
    return None if value is None else value / math.exp(3.3 / math.sqrt(2 * facts["layer.fan_in"]))


def _margins(model: str, subjects: list[Subject], held: dict[str, list[tuple[float, str]]]) -> None:
    """Add what the layers of one model measure to the lists of every rule in `MARGINS`."""
    for subject in subjects:
        facts = subject.facts
        if facts.get("layer.kind") not in ("linear", "recurrent") or facts.get("tensor.constant") is not False:
            continue
        for rule, (_, _, measure) in MARGINS.items():
            value = measure(facts)
            if value is not None and math.isfinite(value) and not facts.get("layer.depthwise"):
                held[rule].append((value, f"{model} {facts['layer.name']}"))


def zoo() -> dict[str, Any]:
    """Check every torchvision model; count findings by rule and severity."""
    checker = Checker()
    held: dict[str, list[tuple[float, str]]] = {rule: [] for rule in MARGINS}
    models: dict[str, Any] = {}
    by_rule: Counter[str] = Counter()
    models_by_rule: defaultdict[str, set[str]] = defaultdict(set)
    for name in torchvision.models.list_models():
        builder = torchvision.models.get_model_builder(name)
        absent = {"weights": None}
        if "weights_backbone" in inspect.signature(builder).parameters:
            absent["weights_backbone"] = None
        torch.manual_seed(0)
        model = builder(**absent)
        start = time.perf_counter()
        seen = checker.examine(model)
        seconds = time.perf_counter() - start
        report = report_of(seen.graph, seen.view, seen.judgement, checker.settings_digest)
        _margins(name, seen.view.subjects["layer"], held)
        counts = Counter(f"{f.rule} {f.name} {f.severity}" for f in report.findings)
        by_rule += counts
        for key in counts:
            models_by_rule[key].add(name)
        models[name] = {
            "error": report.summary.error,
            "warning": report.summary.warning,
            "info": report.summary.info,
            "not_evaluated": report.summary.not_evaluated,
            "coverage": round(report.coverage.parameters, 4),
            "seconds": round(seconds, 2),
            "rules": dict(sorted(counts.items())),
        }
        print(f"{name:45} {models[name]['error']} {models[name]['warning']} {models[name]['info']}", flush=True)
    warnings = [row["warning"] for row in models.values()]
    return {
        "models": models,
        "margins": {
            rule: {
                "measure": MARGINS[rule][0],
                "threshold": MARGINS[rule][1],
                "layers": len(values),
                "nearest": [[round(value, 3), where] for value, where in sorted(values, reverse=True)[:5]],
            }
            for rule, values in held.items()
        },
        "by_rule": {
            key: {"findings": count, "models": len(models_by_rule[key])} for key, count in sorted(by_rule.items())
        },
        "summary": {
            "models": len(models),
            "models_with_errors": sum(row["error"] > 0 for row in models.values()),
            "models_with_warnings": sum(count > 0 for count in warnings),
            "warnings_median": statistics.median(warnings),
            "warnings_mean": round(statistics.mean(warnings), 2),
            "warnings_max": max(warnings),
        },
    }


def faults() -> dict[str, Any]:
    """Plant each fault in each layer; recall by fault and model, with the false alarms beside it."""
    from tests.integration.faults import MLP, RESNET18, VGG11, VIT, plant

    rows = []
    for host in (RESNET18, VGG11, VIT, MLP):
        checker = Checker(CheckSettings(load=LoadOptions(input_shapes=(host.input_shape,))))
        for seed in SEEDS if host is MLP else SEEDS[:1]:
            torch.manual_seed(seed)
            healthy = host.build()
            state = {name: value.clone() for name, value in healthy.state_dict().items()}
            before = _said(checker.check(healthy))
            for layer in LAYERS[host.name]:
                for fault in FAULT_NAMES:
                    healthy.load_state_dict(state)
                    plant(healthy, layer, fault)
                    rows.append(_row(host.name, seed, layer, fault, before, checker.check(healthy)))
            print(host.name, seed, len(rows), flush=True)
    return {"rows": rows, "summary": _summary(rows)}


def _said(report: Report) -> set[tuple[str, str, str]]:
    return {(f.rule, f.severity, f.subject.tensor or f.subject.name) for f in report.findings}


def _row(host: str, seed: int, layer: str, fault: str, before: set[tuple[str, str, str]], report: Report) -> Any:
    new = _said(report) - before
    hits = {r for r in new if r[0] in NAMED_BY[fault] and r[2].startswith(layer)}
    others = new - hits
    return {
        "model": host,
        "seed": seed,
        "layer": layer,
        "fault": fault,
        "found_by": sorted({rule for rule, _, _ in hits}),
        "found": bool(hits),
        "other_errors": sorted({f"{rule} {name}" for rule, severity, name in others if severity == "error"}),
        "other_warnings": sorted({f"{rule} {name}" for rule, severity, name in others if severity == "warning"}),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    def of(part: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "cases": len(part),
            "recall": round(sum(row["found"] for row in part) / len(part), 4),
            "false_errors": round(sum(bool(row["other_errors"]) for row in part) / len(part), 4),
            "false_warnings": round(sum(bool(row["other_warnings"]) for row in part) / len(part), 4),
        }

    groups = {"all": of(rows)}
    for key in ("fault", "model"):
        for value in dict.fromkeys(row[key] for row in rows):
            groups[f"{key} {value}"] = of([row for row in rows if row[key] == value])
    return groups


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "initadvisor": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def main() -> None:
    """Run the parts that were asked for and merge them into the results file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["zoo", "faults", []], default=[])
    parts = parser.parse_args().parts or ["zoo", "faults"]
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in parts:
        measured = {"zoo": zoo, "faults": faults}[part]()
        results[part] = {"measured": machine(), **measured}
        print(json.dumps(measured["summary"], indent=1))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
