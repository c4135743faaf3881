"""One rival tool on one network after another; runs in the rivals' environment, started by `peers.py`.

Reads a JSON request a line from standard input and answers with a JSON line on the real standard output; whatever the
tools print goes to standard error. A request: {"case": name, "tool": name, "state": file, "out": file}. Networks and
batches come from `peers_cases.py`, which imports nothing of initadvisor; weights come from the state dict in `state`.
Tools that draw weights leave the new state dict in `out`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
from peers_cases import CASES, Case

Found = dict[str, Any]


def torch_audit_static(model: torch.nn.Module, case: Case) -> Found:
    """One audit of the module as it is."""
    from torch_audit import audit

    return _audited(audit(model).findings)


def torch_audit_dynamic(model: torch.nn.Module, case: Case) -> Found:
    """Five training steps under its auditor."""
    from torch_audit import Auditor

    optimizer = case.optimizer(model.parameters())
    auditor = Auditor(model, optimizer=optimizer, every_n_steps=1)
    with auditor:
        auditor.audit_static()
        auditor.audit_init()
        for x, y in case.batches(5):
            optimizer.zero_grad()
            auditor.backward(case.loss(auditor.forward(x), y))
            auditor.optimizer_step()
    return _audited(auditor.findings)


def _audited(findings: Any) -> Found:
    # Rules about speed, hardware and the optimizer's choice say nothing about whether a start is healthy.
    kept = [f for f in findings if f.rule_id.startswith(("TA1", "TA405"))]
    return {
        "errors": sorted({f.rule_id for f in kept if f.severity.value in ("ERROR", "FATAL")}),
        "warnings": sorted({f.rule_id for f in kept if f.severity.value == "WARN"}),
        "aside": sorted({f"{f.rule_id} {f.severity.value}" for f in findings if f not in kept}),
    }


def torchmortem_dynamic(model: torch.nn.Module, case: Case) -> Found:
    """Ten training steps under its autopsy; it has no static mode."""
    from torchmortem import Autopsy

    optimizer = case.optimizer(model.parameters())
    with Autopsy(model, optimizer=optimizer, sampling="thorough") as autopsy:
        for x, y in case.batches(10):
            optimizer.zero_grad()
            loss = case.loss(model(x), y)
            loss.backward()
            optimizer.step()
            autopsy.step(loss=loss.item())
    report = autopsy.get_report()
    names = {"CRITICAL": "errors", "WARNING": "warnings"}
    found: Found = {"errors": [], "warnings": []}
    for finding in report.findings if report is not None else ():
        if finding.severity.name in names:
            found[names[finding.severity.name]].append(finding.detector)
    return {level: sorted(set(own)) for level, own in found.items()}


def anyinit_analytic(model: torch.nn.Module, case: Case) -> Found:
    """Its one call, without data; a shape for its own check."""
    import anyinit

    x, _ = next(iter(case.batches(1)))
    report = anyinit.initialize(model, "analytic", tuple(x.shape), seed=0)
    return {"says": str(getattr(report, "healthy", ""))[:80]}


def anyinit_empirical(model: torch.nn.Module, case: Case) -> Found:
    """Its other mode, which measures a batch."""
    import anyinit

    x, _ = next(iter(case.batches(1)))
    anyinit.initialize(model, "empirical", x, seed=0)
    return {}


def lsuv(model: torch.nn.Module, case: Case) -> Found:
    """Layer-sequential unit variance on one batch."""
    from lsuv import lsuv_with_singlebatch

    x, _ = next(iter(case.batches(1)))
    lsuv_with_singlebatch(model, x, verbose=False)
    return {}


TOOLS: dict[str, Callable[[torch.nn.Module, Case], Found]] = {
    "torch-audit, static": torch_audit_static,
    "torch-audit, 5 steps": torch_audit_dynamic,
    "torchmortem, 10 steps": torchmortem_dynamic,
    "anyinit": anyinit_analytic,
    "anyinit, empirical": anyinit_empirical,
    "LSUV": lsuv,
}


def answer(request: dict[str, Any]) -> Found:
    """What a tool says of a case, or how it failed."""
    case = CASES[request["case"]]
    torch.manual_seed(0)
    model = case.build()
    model.load_state_dict(torch.load(request["state"], weights_only=True))
    start = time.process_time()
    try:
        found = TOOLS[request["tool"]](model, case)
    except Exception as error:
        return {"crash": f"{type(error).__name__}: {error}"[:200]}
    found["seconds"] = round(time.process_time() - start, 2)
    if request.get("out"):
        torch.save(model.state_dict(), request["out"])
    return found


def main() -> None:
    """Answer requests until there are no more."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
