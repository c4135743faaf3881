"""What a probe costs, and what it says of torchvision's models at their own start.

    python benchmarks/probe.py                    # overhead on resnet50 (CPU), then the models that are not stored yet
    python benchmarks/probe.py --zoo --seconds 240   # models only, for four minutes; run again to go on
    python benchmarks/probe.py --short            # small sizes, prints only

1. Overhead: the processor seconds of a probe's three watched steps over those of three bare training steps with the
   same model, batch, loss and optimizer, in turn in one process; goal at most 1.3 on a CPU. Taking copies, reading the
   results and static facts are outside the steps, and given beside them. Processor time, since others share the
   machine. Peak memory: each in a process of its own, probe over bare; goal at most 1.1.
2. Models: all of torchvision's, weights drawn from seed 0, on a normalised random batch; goal: no finding of level
   error. Images are as small as the model allows, to save time: the size is stored.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from conditions import measured

RESULTS = Path(__file__).parent / "results" / "probe.json"
ROUNDS = 5
PEAKS = 3

WHY_RIGHT = {
    "mvit_v2_s": (
        "IA603: the query pooling of the last block acts on every token but the class token, and the head reads the "
        "class token alone: nothing that this weight makes reaches the output, whatever the batch"
    ),
}
"""Why an error-level finding on a model at its own start is right."""


def _measured() -> dict[str, Any]:
    return measured("torch", "torchvision", "numpy", threads=torch.get_num_threads())


def _bare(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    model.train()
    start = time.process_time()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return time.process_time() - start


def _watched(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> tuple[float, float]:
    """(seconds of the steps, seconds of the whole run with copies and reading)."""
    from initadvisor.probe import run as runner
    from initadvisor.probe.batch import Batch
    from initadvisor.probe.settings import ProbeSettings
    from initadvisor.probe.training import Training

    inside: list[float] = []
    step = Training.step

    def timed(self: Training, *args: Any) -> Any:
        start = time.process_time()
        try:
            return step(self, *args)
        finally:
            inside.append(time.process_time() - start)

    Training.step = timed  # type: ignore[method-assign]
    try:
        start = time.process_time()
        batch = Batch((x,), {}, y, size=len(x))
        seen = runner.run(model, _sites(model), [batch], torch.nn.functional.cross_entropy, ProbeSettings(steps=steps))
        whole = time.process_time() - start
    finally:
        Training.step = step  # type: ignore[method-assign]
    assert seen.steps == steps
    return sum(inside), whole


_SITES: dict[int, Any] = {}


def _sites(model: torch.nn.Module) -> Any:
    if id(model) not in _SITES:
        from initadvisor.analysis import structure
        from initadvisor.engine.prober import sites_of
        from initadvisor.frontends import load

        graph = load(model)
        structure.describe(graph)
        _SITES[id(model)] = sites_of(graph, model)
    return _SITES[id(model)]


def _model(name: str, batch: int, size: int) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    return model, torch.randn(batch, 3, size, size), torch.randint(0, 1000, (batch,))


def overhead(name: str, batch: int, size: int, rounds: int) -> dict[str, Any]:
    model, x, y = _model(name, batch, size)
    _bare(model, x, y, 1)
    _watched(model, x, y, 2)
    pairs = [(_bare(model, x, y, 3), *_watched(model, x, y, 3)) for _ in range(rounds)]
    return {
        "model": name,
        "batch": [batch, 3, size, size],
        "rounds": rounds,
        "bare_seconds": round(statistics.median(b for b, _, _ in pairs), 3),
        "watched_seconds": round(statistics.median(w for _, w, _ in pairs), 3),
        "ratio": round(statistics.median(w / b for b, w, _ in pairs), 3),
        "ratio_with_copies_and_reading": round(statistics.median(t / b for b, _, t in pairs), 3),
        "goal": "at most 1.3",
        "peak_memory": memory(name, batch, size),
    }


def memory(name: str, batch: int, size: int) -> dict[str, Any]:
    """Peak resident megabytes of processes that train three steps, and of some that probe three; medians.

    Several, since what the allocator can join differs from run to run. `demand` has every block above 256 KB on its
    own, which takes that out: what is asked for at once.
    """
    peaks = {kind: sorted(_peak_of(kind, name, batch, size) for _ in range(PEAKS)) for kind in ("bare", "watched")}
    bare, watched = (statistics.median(peaks[kind]) for kind in ("bare", "watched"))
    demand = {kind: _peak_of(kind, name, batch, size, MALLOC_MMAP_THRESHOLD_="262144") for kind in ("bare", "watched")}
    return {
        "bare": bare,
        "watched": watched,
        "all": peaks,
        "ratio": round(watched / bare, 3),
        "demand": {**demand, "ratio": round(demand["watched"] / demand["bare"], 3)},
        "goal": "at most 1.1",
    }


def _peak_of(kind: str, name: str, batch: int, size: int, **environment: str) -> float:
    command = [sys.executable, __file__, "--peak", kind, name, str(batch), str(size)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return float(found.stdout)


def peak(kind: str, name: str, batch: int, size: int) -> None:
    model, x, y = _model(name, batch, size)
    import initadvisor.engine.prober  # noqa: F401  (both processes hold the same code)

    _sites(model)
    _bare(model, x, y, 3) if kind == "bare" else _watched(model, x, y, 3)
    # Not `ru_maxrss`: it starts from what the parent process held.
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3)


def shape_of(name: str) -> list[int] | None:
    """As small as the model allows; None for its own inputs."""
    if name.startswith(("vit_", "maxvit", "swin")) or "rcnn" in name or "retina" in name or "ssd" in name:
        return None
    if name.startswith(("raft", "r3d", "r2plus", "mc3", "s3d", "mvit", "fcos")):
        return None
    size = 128 if name.startswith("inception") else 64
    return [4, 3, size, size]


def probe_one(name: str) -> dict[str, Any]:
    import initadvisor

    start = time.process_time()
    shape = shape_of(name)
    try:
        report = initadvisor.probe(f"torchvision:{name}", input_shape=shape, batch_size=None if shape else 2)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:300], "seconds": round(time.process_time() - start, 1)}
    assert report.probe is not None
    kept = ("loss", "logit_spread", "cosine", "effective_rank", "gradient_ratio", "gradient_norm", "largest_rms")
    more = ("smallest_gradient", "token_rank", "attention_entropy", "zero_at_first", "asleep_share", "forward_ratio")
    return {
        "input": shape or report.probe["batch"],
        "steps": len(report.probe["losses"]),
        "errors": [[f.rule, f.subject.name, f.message] for f in report.findings if f.severity == "error"],
        "warnings": sorted({f.rule for f in report.findings if f.severity == "warning"}),
        "facts": {key: report.probe["model"].get(key) for key in (*kept, *more)},
        "seconds": round(time.process_time() - start, 1),
    }


def zoo(stored: dict[str, Any], seconds: float, again: bool, first: list[str]) -> None:
    import torchvision

    names = torchvision.models.list_models()
    # The small ones first: a run that is cut short has then seen as many kinds as it can.
    names.sort(key=lambda n: torchvision.models.get_model_weights(n).DEFAULT.meta["num_params"])
    names.sort(key=lambda n: n not in first)
    models = stored.setdefault("torchvision", {})
    until = time.monotonic() + seconds
    for name in names:
        if name in models and not (again and models[name].get("errors")):
            continue
        if time.monotonic() > until:
            break
        models[name] = probe_one(name)
        print(
            name,
            models[name].get("failed") or models[name]["errors"],
            models[name].get("warnings", ""),
        )
        _store(stored)
    done = [m for m in models.values() if "errors" in m]
    for name, why in WHY_RIGHT.items():
        if models.get(name, {}).get("errors"):
            models[name]["why_it_is_right"] = why
    stored["summary"] = {
        "models": len(names),
        "probed": len(done),
        "failed": sorted(name for name, m in models.items() if "failed" in m),
        "with_errors": sorted(name for name, m in models.items() if m.get("errors")),
        "with_warnings": sum(bool(m["warnings"]) for m in done),
    }
    _store(stored)
    print(stored["summary"])


def _store(stored: dict[str, Any]) -> None:
    stored["measured"] = _measured()
    RESULTS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--zoo", action="store_true")
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--again", action="store_true", help="probe models with errors once more")
    parser.add_argument("--only", nargs="*", default=(), help="probe these models first")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--peak", nargs=4)
    given = parser.parse_args()
    if given.peak:
        peak(given.peak[0], given.peak[1], int(given.peak[2]), int(given.peak[3]))
        return
    if given.short:
        print(
            json.dumps(
                {**_measured(), "overhead": overhead("resnet18", 4, 64, 2), "resnet18": probe_one("resnet18")}, indent=1
            )
        )
        return
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not given.zoo:
        found = overhead("resnet50", given.batch, given.size, given.rounds)
        stored.setdefault("overhead", {})[f"batch {given.batch}, {given.size}x{given.size}"] = found
        _store(stored)
        print(found)
    if not given.overhead:
        zoo(stored, given.seconds, given.again, given.only)


if __name__ == "__main__":
    main()
