"""Does the fix work, and the advice where there is nothing to fix? Each case before and after, the same training.

    python -m benchmarks.trainability.fixrate            # what is not stored yet, into results/fixrate.json*
    python -m benchmarks.trainability.fixrate --seconds 240
    python -m benchmarks.trainability.fixrate --only resnet  # cases with that in their key
    python -m benchmarks.trainability.fixrate --short      # five cases, one seed, prints only

Four groups of the cases that the benchmark has trained (runs.py):

- repair: does not train although its architecture, data and rates are in order; drawn anew by the plan of
  `initadvisor.advise`. Counts as repaired where its label becomes "trainable". Where it does not, five sound starts
  are tried as well: if one of them trains, the fix has failed; if none does, the initialization was not the cause.
- slow: learns something, but not enough; drawn anew likewise.
- harm: trains; drawn anew all the same. Counts as harmed where it does not train any more.
- advice: does not train for another reason (learning rate, data scale, head, architecture). The advice of the probe's
  and the check's findings is followed as far as it names a change, and nothing else is done.

Drawing anew touches neither architecture nor optimizer nor learning rates. Labels, seeds, rates, steps and batches are
those of the first training.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from initadvisor import __version__

from . import labels
from .advice import Change, follow
from .cases import SEEDS, Case, batch, cases
from .runs import RESULTS, read
from .training import Curve, train

ROWS = RESULTS / "fixrate.jsonl"
SUMMARY = RESULTS / "fixrate.json"

SOUND = ("recommended", "orthogonal", "he normal", "xavier normal", "default")
"""Starts that are tried where the fix does not help, without any planted fault."""

INITIALIZATION = ("initialization", "none")
"""Planted causes of a case that is drawn anew when it does not train: a sound start that fails, too."""


def fixed(module: nn.Module, case: Case, seed: int) -> None:
    """Draw a network anew in place, as `initadvisor fix` does."""
    import initadvisor

    example, _ = batch(case, seed, 8)
    initadvisor.apply(module, initadvisor.advise(module, example=example, seed=seed))


def label_of(case: Case, curves: Sequence[Curve]) -> str:
    """The label of a case: the middle one of its seeds, each at its best rate."""
    goal, constant = labels.goal(case.data), labels.constant(case.data)
    seeds = sorted({curve.seed for curve in curves})
    return labels.majority(
        [labels.best(labels.label(c.final, goal, constant) for c in curves if c.seed == seed) for seed in seeds]
    )


def group_of(case: Case, before: str) -> str | None:
    """The group of a case by its label before; None where there is nothing to ask."""
    if before == "trainable":
        return "harm" if case.planted in INITIALIZATION else None
    if case.planted in INITIALIZATION:
        return "repair" if before == "untrainable" else "slow"
    return "advice"


def run(case: Case, group: str, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """What a case does after the fix, or after the advice has been followed."""
    row: dict[str, Any] = {"key": case.key, "group": group}
    try:
        if group == "advice":
            changes = follow(case)
            row["advice"] = [change.said for change in changes]
            curves = _trained(case, changes, seeds)
        else:
            curves = train(case, seeds, prepare=lambda module, seed: fixed(module, case, seed))
    except Exception as error:
        return row | {"failed": f"{type(error).__name__}: {error}"[:300]}
    row["after"] = label_of(case, curves) if curves else None
    row["scores"] = {str(s): [c.final for c in curves if c.seed == s] for s in seeds}
    if group == "repair" and row["after"] != "trainable":
        row["trains with"] = next((recipe for recipe in SOUND if _trains(case, recipe, seeds)), "")
    return row


def _trains(case: Case, recipe: str, seeds: Sequence[int]) -> bool:
    return label_of(case, train(replace(case, recipe=recipe, fault="none"), seeds)) == "trainable"


def _trained(case: Case, changes: Sequence[Change], seeds: Sequence[int]) -> list[Curve]:
    """Train with the changes made; nothing where there are none."""
    if not changes:
        return []
    rates = case.rates
    for change in changes:
        case, rates = change.case(case), change.rates(rates)
    redraw = any(change.draws for change in changes)
    return train(case, seeds, rates, prepare=(lambda m, s: fixed(m, case, s)) if redraw else None)


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Counts by group, part and family; the cases that a fix did not mend, or harmed."""
    known = {case.key: case for case in cases()}
    done = [row for row in rows if row["key"] in known]
    found: dict[str, Any] = {}
    for part in ("test", "calibration"):
        own = [row for row in done if known[row["key"]].part == part]
        repair = [row for row in own if row["group"] == "repair" and known[row["key"]].planted == "initialization"]
        found[part] = {
            "repair": _share([row for row in repair if row.get("trains with") != ""], "trainable"),
            "repair, and those that no start makes train": _share(repair, "trainable"),
            "repair, nothing planted": _share(
                [r for r in own if r["group"] == "repair" and r not in repair], "trainable"
            ),
            "slow": _share([r for r in own if r["group"] == "slow"], "trainable"),
            "harm": {
                "trainable before": sum(r["group"] == "harm" for r in own),
                "not trainable after": sorted(
                    f"{r['key']} {r.get('after')}"
                    for r in own
                    if r["group"] == "harm" and r.get("after") != "trainable"
                ),
            },
            "advice": {
                cause: _share(
                    [r for r in own if r["group"] == "advice" and known[r["key"]].planted == cause], "trainable"
                )
                for cause in ("learning_rate", "data_scale", "head", "architecture")
            },
        }
    return found


def _share(rows: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    good = [row for row in rows if row.get("after") == wanted]
    return {
        "cases": len(rows),
        "train after": len(good),
        "share": round(len(good) / len(rows), 4) if rows else None,
        "not": sorted(
            f"{row['key']} {row.get('after') or row.get('failed') or 'no advice'}" for row in rows if row not in good
        ),
    }


def write(rows: list[dict[str, Any]], before: dict[str, str]) -> None:
    """The summary, with where and with what it was measured."""
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} shared cores, no GPU",
        "versions": {
            "initadvisor": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        },
        "date": datetime.date.today().isoformat(),
        "trained before": len(before),
        **summary(rows),
    }
    SUMMARY.write_text(json.dumps(found, indent=1) + "\n")


def stored() -> list[dict[str, Any]]:
    """The rows so far, the last one of each case."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    return list({row["key"]: row for row in map(json.loads, lines)}.values())


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="five cases, one seed, prints only")
    parser.add_argument("--only", default="", help="a part of the keys of the cases to run, stored or not")
    parser.add_argument("--group", default="", help="one group alone")
    parser.add_argument("--part", default="", help="calibration or test alone")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    if options.short:
        for case in [case for case in cases(short=True) if case.planted == "initialization"][:5]:
            print(case.key, run(case, "repair", SEEDS[:1]))
        return
    known = {case.key: case for case in cases()}
    before = {key: label_of(known[key], row["curves"]) for key, row in read().items() if key in known}
    done = {row["key"] for row in stored()}
    todo = [(group, known[key]) for key, label in before.items() if (group := group_of(known[key], label))]
    # Of the test part first, and of each part the broken ones.
    todo.sort(key=lambda item: (item[1].part != "test", ("repair", "advice", "harm", "slow").index(item[0])))
    until = time.monotonic() + options.seconds
    for group, case in todo:
        wanted = options.only in case.key if options.only else case.key not in done
        if not wanted or options.group not in ("", group) or options.part not in ("", case.part):
            continue
        if time.monotonic() > until:
            break
        row = run(case, group)
        with ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(case.part, before[case.key], row, flush=True)
    write(stored(), before)
    print(json.dumps({part: summary(stored())[part] for part in ("test", "calibration")}, indent=1))


if __name__ == "__main__":
    main()
