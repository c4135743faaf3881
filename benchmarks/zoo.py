"""What `check` and `probe` say of healthy stock models, as their libraries start them: each finding is a false alarm.

    python benchmarks/zoo.py                 # the models that are not stored yet, into benchmarks/results/zoo.json
    python benchmarks/zoo.py --seconds 240   # for four minutes; run again to go on
    python benchmarks/zoo.py --short         # a handful, prints only, exit code 1 for an error-level finding
    python benchmarks/zoo.py --again         # those with an error-level finding once more

Every model is built by torchvision, timm or transformers with the weights that the library draws (seed 0), none
pretrained; transformers from small configurations, images as small as the model takes. A third is hard for a check of
initialization: what looks like a fault there is meant (zero heads, zero gammas, LayerScale, gates, no norm at all).
The probe runs on a made-up batch, and, where a model takes images and gives logits, on one of noise and drawn labels
that is given to it as if it were data. The target: no error-level finding; warnings are counted beside
it. Some are right: a std of 0.02, made for wide transformers, is small for the narrow ones here (IA101).
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from conditions import measured
from zoo_models import TIMM, TRANSFORMERS, VISION

RESULTS = Path(__file__).parent / "results" / "zoo.json"
NOT_GIVEN = ("deeplabv3_mobilenet_v3_large", "inception_v3")
"""No batch is given to these: one answers for every pixel, the auxiliary head of the other needs larger images."""

PACKAGES = ("torch", "torchvision", "timm", "transformers", "numpy")
KINDS = ("check", "probe", "probe of a given batch")

GIVEN = 32
"""Samples of the batch that is given: from so many on, IA638 speaks."""

SHORT = (
    "resnet18",
    "timm convnext_atto",
    "timm mixer_s32_224",
    "timm levit_128s",
    "timm cait_xxs24_224",
    "hf GPT2LMHeadModel",
    "hf T5ForConditionalGeneration",
)

WHY_RIGHT: dict[str, str] = {}
"""Why an error-level finding on a model as its library starts it is right."""


@dataclass(frozen=True)
class Model:
    """How a model is built, the shape of its input (None: as the model says itself), and what makes it hard.

    given: whether it is also probed on a batch that is given to it.
    """

    build: Callable[[], torch.nn.Module]
    shape: tuple[int, ...] | None
    hard: str = ""
    given: bool = True


def _vision(name: str) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        import torchvision

        builder = torchvision.models.get_model_builder(name)
        absent = {"weights": None}
        if "weights_backbone" in inspect.signature(builder).parameters:
            absent["weights_backbone"] = None
        return builder(**absent)

    return build


def _timm(name: str, **kwargs: Any) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, **kwargs)

    return build


def _hf(name: str, **config: Any) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        import transformers

        kind = getattr(transformers, name)
        return kind(kind.config_class(**config))

    return build


def models() -> dict[str, Model]:
    """Every model by its name, those of torchvision without a prefix."""
    found = {
        name: Model(_vision(name), (4, 3, size, size), hard, name not in NOT_GIVEN)
        for name, (size, hard) in VISION.items()
    }
    for name, (size, hard, kwargs) in TIMM.items():
        found[f"timm {name}"] = Model(_timm(name, **kwargs), (4, 3, size, size), hard)
    for name, (hard, config) in TRANSFORMERS.items():
        found[f"hf {name}"] = Model(_hf(name, **config), None, hard)
    return found


def look(model: Model) -> dict[str, Any]:
    """The row of one model."""
    import initadvisor

    start = time.process_time()
    torch.manual_seed(0)
    row: dict[str, Any] = {"hard": model.hard}
    try:
        built = model.build()
        row["parameters"] = sum(p.numel() for p in built.parameters())
        reports = {
            "check": initadvisor.check(built, input_shape=model.shape),
            "probe": initadvisor.probe(built, input_shape=model.shape, batch_size=None if model.shape else 4),
        }
        if model.shape is not None and model.given:
            batch = (torch.randn(GIVEN, *model.shape[1:]), torch.randint(0, 10, (GIVEN,)))
            reports["probe of a given batch"] = initadvisor.probe(built, batch)
    except Exception as error:
        return {**row, "failed": f"{type(error).__name__}: {error}"[:300]}
    for name, report in reports.items():
        row[name] = {
            "errors": [[f.rule, f.subject.name, f.message] for f in report.findings if f.severity == "error"],
            "warnings": dict(Counter(f.rule for f in report.findings if f.severity == "warning")),
            "coverage": round(report.coverage.parameters, 4),
            "risk": round(report.risk.training_fails, 4) if report.risk else None,
        }
    record = reports["probe"].probe
    assert record is not None
    row["probe"] |= {"batch": record["batch"], "losses": record["losses"]}
    row["seconds"] = round(time.process_time() - start, 1)
    return row


def summary(stored: dict[str, Any]) -> dict[str, Any]:
    """Counts over the models; errors that are right are counted, and named with the reason, too."""
    known = models()
    rows = {name: row for name, row in stored.items() if name in known}
    seen = {name: row for name, row in rows.items() if "failed" not in row}
    found: dict[str, Any] = {
        "models": len(known),
        "looked at": len(seen),
        "hard": sum(bool(row["hard"]) for row in seen.values()),
        "failed": {name: row["failed"] for name, row in rows.items() if "failed" in row},
    }
    for kind in KINDS:
        own = {name: row[kind] for name, row in seen.items() if kind in row}
        rules = Counter(rule for look in own.values() for rule in look["warnings"])
        found[kind] = {
            "models": len(own),
            "models with errors": sorted(name for name, look in own.items() if look["errors"]),
            "models with warnings": sum(bool(look["warnings"]) for look in own.values()),
            "warnings": sum(sum(look["warnings"].values()) for look in own.values()),
            "models by rule of warning": dict(sorted(rules.items())),
            "highest risks": dict(
                sorted(((n, o["risk"]) for n, o in own.items() if o["risk"]), key=lambda r: -r[1])[:5]
            ),
        }
    return found


def _errors(row: dict[str, Any]) -> bool:
    return any(row[kind]["errors"] for kind in KINDS if kind in row)


def write(rows: dict[str, Any]) -> None:
    """The whole file: the summary first."""
    for name, why in WHY_RIGHT.items():
        if name in rows:
            rows[name]["why it is right"] = why
    found = {"measured": measured(*PACKAGES, threads=torch.get_num_threads()), "summary": summary(rows), "models": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def said(row: dict[str, Any]) -> str:
    """A row in one line."""
    if "failed" in row:
        return f"failed: {row['failed']}"
    parts = [f"{kind} {row[kind]['errors']} {row[kind]['warnings'] or ''}" for kind in KINDS if kind in row]
    return f"{'; '.join(parts)} ({row['seconds']} s)"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a handful, nothing written")
    parser.add_argument("--again", action="store_true", help="models that failed or have an error-level finding, too")
    parser.add_argument("--only", nargs="*", default=(), help="these models alone, stored or not")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    known = models()
    if options.short:
        rows = {name: look(known[name]) for name in SHORT}
        for name, row in rows.items():
            print(f"{name}: {said(row)}")
        sys.exit(any("failed" in row or _errors(row) for row in rows.values()))
    rows = json.loads(RESULTS.read_text())["models"] if RESULTS.exists() else {}
    rows = {name: row for name, row in rows.items() if name in known}
    until = time.monotonic() + options.seconds
    for name in options.only or known:
        row = rows.get(name)
        bad = row is not None and ("failed" in row or _errors(row))
        if row is not None and not options.only and not (options.again and bad):
            continue
        if time.monotonic() > until:
            break
        rows[name] = look(known[name])
        print(f"{name}: {said(rows[name])}", flush=True)
        write(rows)
    write(rows)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
