"""Rivals and one-line baselines beside `initadvisor`, on the same networks in one run: what they find, what they mend.

    python benchmarks/peers.py                  # what is not stored yet, into benchmarks/results/peers.json
    python benchmarks/peers.py --seconds 240    # for four minutes; run again to go on
    python benchmarks/peers.py --cache DIR      # where the rivals' environment is made (once), ~/.cache by default
    python benchmarks/peers.py --short          # two cases, no rivals, prints only

The rivals are installed in an environment of their own (`uv`, else `venv` and `pip`) and run as child processes with a
time limit: a crash or a timeout counts as said of nothing, and is counted. Weights go over as a state dict file.

- Diagnosis: of the networks that do not train as they start, the share that a tool says something of (recall), and
  beside it the share of those that train (false positives), at its error level and from its warning level on. Rules of
  torch-audit about speed, hardware and the choice of the optimizer are left out.
- Repair: of the networks whose initialization is at fault, the share that trains after a method has drawn the weights;
  and of those that train, the share that does not any more.

Whether a network trains is measured as in the folder trainability: three rates of SGD, 300 steps, the first seed. The
large models of the nine known cases are labelled by construction and not trained.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

import conditions
from peers_baselines import BASELINES
from peers_cases import CASES, Case
from peers_environment import PEERS, Child, Found, environment
from trainability import cases as generated
from trainability import labels
from trainability.training import train_modules

RESULTS = Path(__file__).parent / "results" / "peers.json"

DIAGNOSE = ("torch-audit, static", "torch-audit, 5 steps", "torchmortem, 10 steps")
DRAW = ("anyinit", "anyinit, empirical", "LSUV")
OURS = ("initadvisor check", "initadvisor probe", "initadvisor probe, look-ahead")


def build(case: Case) -> nn.Module:
    """The network as it starts, the same ever again."""
    torch.manual_seed(0)
    return case.build()


def trained(case: Case, module: nn.Module) -> str:
    """The label of a network: at its best rate, from the first seed."""
    factors = case.generated or next(c for c in generated.cases() if c.family == "mlp" and c.data == "digits")
    rates = case.generated.rates if case.generated is not None else generated.RATES
    curves = train_modules(factors, [module], [0], rates)
    goal, constant = labels.goal(factors.data), labels.constant(factors.data)
    return labels.best(labels.label(curve.final, goal, constant) for curve in curves)


def ours(case: Case) -> dict[str, Found]:
    """What `initadvisor` says."""
    import initadvisor

    x, y = next(case.batches(1))
    calls: dict[str, Callable[[], Any]] = {
        OURS[0]: lambda: initadvisor.check(build(case), example=x),
        OURS[1]: lambda: initadvisor.probe(build(case), (x, y), case.loss, optimizer=case.optimizer),
        OURS[2]: lambda: initadvisor.probe(build(case), (x, y), case.loss, optimizer=case.optimizer, lookahead=True),
    }
    found: dict[str, Found] = {}
    for name, call in calls.items():
        start = time.process_time()
        try:
            report = call()
        except initadvisor.InitAdvisorError as error:
            found[name] = {"crash": str(error)[:200]}
            continue
        found[name] = {
            "errors": sorted({f.rule for f in report.findings if f.severity == "error"}),
            "warnings": sorted({f.rule for f in report.findings if f.severity == "warning"}),
            "seconds": round(time.process_time() - start, 2),
        }
    return found


def row_of(case: Case, child: Child | None, folder: Path) -> Found:
    """Everything about one case."""
    large = case.healthy is not None
    row: Found = {"note": case.note, "family": case.generated.family if case.generated else "known"}
    row["planted"] = case.generated.planted if case.generated else ""
    row["label"] = ("trainable" if case.healthy else "untrainable") if large else trained(case, build(case))
    state = folder / "state.pt"
    torch.save(build(case).state_dict(), state)
    row["diagnosis"] = ours(case)
    for tool in DIAGNOSE if child is not None else ():
        row["diagnosis"][tool] = child.ask({"case": case.name, "tool": tool, "state": str(state)})
    if large or (case.generated is not None and case.generated.planted not in ("none", "initialization")):
        return row
    row["repair"] = {}
    for name, method in BASELINES.items():
        module = build(case)
        try:
            method(module, case)
        except Exception as error:
            row["repair"][name] = f"crash: {type(error).__name__}"
            continue
        row["repair"][name] = row["label"] if name == "as it is" else trained(case, module)
    for tool in DRAW if child is not None else ():
        out = folder / "out.pt"
        found = child.ask({"case": case.name, "tool": tool, "state": str(state), "out": str(out)})
        if "crash" in found:
            row["repair"][tool] = f"crash: {found['crash']}"
            continue
        module = build(case)
        module.load_state_dict(torch.load(out, weights_only=True))
        row["repair"][tool] = trained(case, module)
    return row


def tables(rows: dict[str, Found]) -> Found:
    """Diagnosis and repair, over the generated cases and the known ones together."""
    bad = [row for row in rows.values() if row["label"] != "trainable"]
    good = [row for row in rows.values() if row["label"] == "trainable"]
    diagnosis = {}
    for tool in (*OURS, *DIAGNOSE):
        if not any(tool in row["diagnosis"] for row in rows.values()):
            continue
        diagnosis[tool] = {
            "error level": {"recall": _said(bad, tool, "errors"), "false positives": _said(good, tool, "errors")},
            "from warning level on": {
                "recall": _said(bad, tool, "errors", "warnings"),
                "false positives": _said(good, tool, "errors", "warnings"),
            },
            "crashed": sum("crash" in row["diagnosis"].get(tool, {}) for row in rows.values()),
        }
    repair = {}
    for method in (*BASELINES, *DRAW):
        asked = [r for r in bad if method in r.get("repair", {})]
        sound = [r for r in good if method in r.get("repair", {})]
        repair[method] = {
            "do not train": len(asked),
            "train after": sum(r["repair"][method] == "trainable" for r in asked),
            "train": len(sound),
            "do not train after": sum(r["repair"][method] != "trainable" for r in sound),
            "crashed": sum(r["repair"][method].startswith("crash") for r in (*asked, *sound)),
        }
    return {"cases": len(rows), "do not train": len(bad), "train": len(good), "diagnosis": diagnosis, "repair": repair}


def _said(rows: list[Found], tool: str, *levels: str) -> str:
    hit = sum(any(row["diagnosis"].get(tool, {}).get(level) for level in levels) for row in rows)
    return f"{hit} of {len(rows)}"


def write(rows: dict[str, Found]) -> None:
    """The whole file: the tables first."""
    found = {
        **conditions.trained(**PEERS),
        **tables(rows),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two cases, no rivals, nothing written")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache")
    parser.add_argument("--only", nargs="*", default=(), help="these cases alone, stored or not")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    rows: dict[str, Found] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() and not options.short else {}
    rows = {name: row for name, row in rows.items() if name in CASES}
    chosen = ("30-layer ReLU, Xavier", "all-zero MLP") if options.short else options.only or tuple(CASES)
    child = None if options.short else Child(environment(options.cache))
    until = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            if name in rows and not options.only:
                continue
            if time.monotonic() > until:
                break
            rows[name] = row_of(CASES[name], child, Path(folder))
            print(name, json.dumps(rows[name]), flush=True)
            if not options.short:
                write(rows)
    if child is not None:
        child.stop()
    print(json.dumps(tables(rows), indent=1))


if __name__ == "__main__":
    main()
