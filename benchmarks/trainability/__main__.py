"""The benchmark from the command line; run from the repository's root.

python -m benchmarks.trainability                    # train what is missing, judge what is missing, score
python -m benchmarks.trainability train --budget 500
python -m benchmarks.trainability judge --afresh     # after a rule has changed
python -m benchmarks.trainability stock fit          # writes rules/risk.toml from the calibration part
python -m benchmarks.trainability --short            # 26 cases in a folder of their own, about 3 minutes
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from initadvisor.analysis import risk
from initadvisor.rules import discover

from . import fit, runs, stock, summary, table, verdicts
from .cases import Case, cases
from .scores import Judged, with_risk_rules

STEPS = ("train", "judge", "stock", "fit", "score")


def mixed(chosen: list[Case]) -> list[Case]:
    """All families in step: what a run that was stopped has trained is a fair part of the whole."""
    counts = Counter(case.family for case in chosen)
    return sorted(chosen, key=lambda case: (int(case.key.partition("-")[2]) + 0.5) / counts[case.family])


def gathered(chosen: Sequence[Case], trained: Path, said: Path) -> list[Judged]:
    """The cases that were both trained and judged."""
    curves, verdict = runs.read(trained), verdicts.read(said)
    both = [case for case in chosen if case.key in curves and case.key in verdict]
    return [Judged(case, curves[case.key]["curves"], verdict[case.key]) for case in both]


def main() -> None:
    """Do the steps that are asked for; without any, all but the fit and what only that needs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--afresh", action="store_true", help="judge again what was judged")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds for training and judging each")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (one for each core)")
    arguments = parser.parse_args()
    steps = arguments.steps or [step for step in STEPS if step not in ("stock", "fit")]
    if unknown := set(steps) - set(STEPS):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    torch.set_num_threads(1)
    chosen = cases(short=arguments.short)
    folder = Path(tempfile.mkdtemp()) if arguments.short else runs.RESULTS
    trained, said = folder / runs.RUNS.name, folder / verdicts.VERDICTS.name
    if "train" in steps:
        left = runs.run(mixed(chosen), trained, arguments.budget, arguments.jobs)
        print(f"{left} cases are left to train", flush=True)
    if "judge" in steps:
        if arguments.afresh:
            said.unlink(missing_ok=True)
        left = verdicts.judge_all(mixed(chosen), said, arguments.budget, arguments.jobs)
        print(f"{left} cases are left to judge", flush=True)
    if "stock" in steps:
        stock.collect(stock.names())
    if "fit" in steps:
        fit.TABLE.write_text(fit.fit(gathered(chosen, trained, said), stock.read()))
    if "score" in steps:
        scales, rules = risk.read(fit.TABLE), discover()
        judged = [with_risk_rules(one, scales, rules) for one in gathered(chosen, trained, said)]
        cpu = {key: row["cpu"] for key, row in runs.read(trained).items()}
        table.write(folder / "trainability.csv", judged, scales, cpu)
        result = summary.summary(judged, scales, len(chosen), cpu)
        summary.store(folder / "trainability.json", result)
        # Those of the short form are all of the calibration part.
        looks = result["calibration" if arguments.short else "test"]["looks"]
        print(json.dumps({look: {k: looks[look][k] for k in ("AUC", "error level")} for look in looks}, indent=1))


if __name__ == "__main__":
    main()
