"""Networks that do not train as they start, before and after the advice: signal over depth, accuracy on digits.

    python benchmarks/fix.py            # 3 seeds, adds what is missing to benchmarks/results/fix.json
    python benchmarks/fix.py --again    # does every run anew
    python benchmarks/fix.py --short    # one seed, a fifth of the steps, prints only
    python benchmarks/fix.py --only vgg # cases with that in their name

Each case is a network at the start that its author left it with, and the same network with the plan of
`initadvisor.plan.advise` applied; both train under the same optimizer, steps and batches on scikit-learn's digits.
Spread is largest over smallest over the depth of the network, at the start: of the root mean square of the
pre-activations, or of the residual stream where there is one (forward), and of the norm of the loss's gradient with
respect to them (backward). The target: both spreads are at most 2 after the fix, and the network learns after it (test
accuracy of one half, five times chance) and not before.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fix_cases import CASES, Case, Probe
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from initadvisor import __version__, frontends
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.apply.torch_module import apply
from initadvisor.frontends.options import LoadOptions
from initadvisor.plan import advise

RESULTS = Path(__file__).parent / "results" / "fix.json"
LEARNS = 0.5
SPREAD = 2.0


def digits(image: bool) -> tuple[torch.Tensor, ...]:
    """(train inputs, train labels, test inputs, test labels), each pixel standardised over the training set."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = torch.tensor(x[order], dtype=torch.float32), torch.tensor(y[order])
    x = (x - x[:1347].mean(0)) / (x[:1347].std(0) + 1e-3)
    x = x.reshape(-1, 1, 8, 8) if image else x
    return x[:1347], y[:1347], x[1347:], y[1347:]


def fixed(model: nn.Module, case: Case, seed: int) -> Any:
    """Apply the plan in place and return it."""
    shape = (2, 1, 8, 8) if case.image else (2, 64)
    graph = describe(frontends.load(model, LoadOptions(input_shapes=(shape,))))
    plan = advise(graph, tensor_facts(graph), preset=case.preset, seed=seed)
    apply(model, plan)
    return plan


def spread(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Forward and backward spread over depth; inf where something is 0 or not finite."""
    outputs: list[torch.Tensor] = []

    def keep(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
            outputs.append(output)

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]
    watched = [m for m in model.modules() if isinstance(m, Probe)] or layers
    handles = [m.register_forward_hook(keep) for m in watched]
    F.cross_entropy(model(x), y).backward()
    for handle in handles:
        handle.remove()
    forward = [float(o.detach().double().square().mean().sqrt()) for o in outputs]
    backward = [float(o.grad.double().norm()) for o in outputs if o.grad is not None]
    model.zero_grad(set_to_none=True)
    return _ratio(forward), _ratio(backward)


def _ratio(values: list[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < len(values) or not finite or min(finite) == 0.0:
        return math.inf
    return max(finite) / min(finite)


def train(model: nn.Module, case: Case, data: tuple[torch.Tensor, ...], seed: int, steps: int) -> dict[str, Any]:
    """Test accuracy, first loss and mean of the last ten losses; nan where a loss is not finite."""
    x, y, test_x, test_y = data
    generator = torch.Generator().manual_seed(seed)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = (
        torch.optim.Adam(parameters, case.rate) if case.adam else torch.optim.SGD(parameters, case.rate, momentum=0.9)
    )
    losses: list[float] = []
    for _ in range(steps):
        pick = torch.randint(0, len(x), (case.batch,), generator=generator)
        loss = F.cross_entropy(model(x[pick]), y[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            return {"accuracy": math.nan, "first_loss": losses[0], "last_loss": math.nan}
    with torch.no_grad():
        accuracy = float((model(test_x).argmax(1) == test_y).double().mean())
    return {"accuracy": accuracy, "first_loss": losses[0], "last_loss": sum(losses[-10:]) / len(losses[-10:])}


def run(case: Case, seed: int, share: float = 1.0) -> dict[str, dict[str, Any]]:
    """Both starts of a case under one seed; numbers that JSON does not have as text."""
    data = digits(case.image)
    rows: dict[str, dict[str, Any]] = {}
    for name in ("before", "after"):
        torch.manual_seed(seed)
        model = case.build()
        if name == "after":
            fixed(model, case, seed)
        forward, backward = spread(model, data[0][:256], data[1][:256])
        found = {"forward_spread": forward, "backward_spread": backward}
        found |= train(model, case, data, seed, int(case.steps * share))
        rows[name] = {k: round(v, 4) if math.isfinite(v) else str(v) for k, v in found.items()}
    return rows


def judged(case: Case, runs: dict[str, Any]) -> dict[str, Any]:
    """The line of the table: what the runs of a case show over its seeds."""

    def column(start: str, key: str) -> list[float]:
        return [float(row[start][key]) for row in runs.values()]

    worst = {key: max(column("after", key)) for key in ("forward_spread", "backward_spread")}
    return {
        "case": case.name,
        "optimizer": f"{'Adam' if case.adam else 'SGD momentum .9'}, rate {case.rate:g}, {case.steps} steps",
        "preset": case.preset,
        "seeds": len(runs),
        "accuracy_before": [row["before"]["accuracy"] for row in runs.values()],
        "accuracy_after": [row["after"]["accuracy"] for row in runs.values()],
        "loss_after": [[row["after"]["first_loss"], row["after"]["last_loss"]] for row in runs.values()],
        "worst_forward_spread_after": worst["forward_spread"],
        "worst_backward_spread_after": worst["backward_spread"],
        "learns_before": any(accuracy >= LEARNS for accuracy in column("before", "accuracy")),
        "learns_after": all(accuracy >= LEARNS for accuracy in column("after", "accuracy")),
        "spread_within_2": all(value <= SPREAD for value in worst.values()) if case.signal else "not asked",
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one seed, a fifth of the steps, nothing written")
    parser.add_argument("--only", default="", help="a part of the name of the cases to run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--again", action="store_true", help="run what is in the results already, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for case in CASES:
        if options.only.lower() not in case.name.lower():
            continue
        for seed in range(1) if options.short else options.seeds:
            if not options.short and not options.again and str(seed) in recorded().get(case.name, {}):
                continue
            start = time.perf_counter()
            found = run(case, seed, 0.2 if options.short else 1.0)
            print(f"{case.name}, seed {seed}, {time.perf_counter() - start:.0f} s", flush=True)
            for name, row in found.items():
                print("  " + name + "  " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            if not options.short:
                runs = recorded()  # another run may have written meanwhile
                runs.setdefault(case.name, {})[str(seed)] = found
                write(runs)


def recorded() -> dict[str, Any]:
    """The runs of the results so far, by case and seed."""
    found: dict[str, Any] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
    return found


def write(runs: dict[str, Any]) -> None:
    """The results so far: the table first, then each run."""
    versions = {"initadvisor": __version__, "torch": torch.__version__, "python": platform.python_version()}
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "gpu": None, "system": platform.platform()}
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = [case for case in CASES if runs.get(case.name)]
    table = [judged(case, runs[case.name]) for case in found]
    ordered = {case.name: dict(sorted(runs[case.name].items())) for case in found}
    text = json.dumps(
        {"date": date, "machine": machine, "versions": versions, "table": table, "runs": ordered}, indent=1
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()
