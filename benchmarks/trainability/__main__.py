"""The benchmark from the command line; run from the repository's root.

python -m benchmarks.trainability                # train what is missing, judge what is missing, score
python -m benchmarks.trainability train --budget 500
python -m benchmarks.trainability --short        # 26 cases in a folder of its own, about 3 minutes
"""

from __future__ import annotations

import argparse
from collections import Counter

import torch

from .cases import Case, cases
from .runs import run
from .verdicts import judge_all


def mixed(chosen: list[Case]) -> list[Case]:
    """All families in step: what a run that was stopped has trained is a fair part of the whole."""
    counts = Counter(case.family for case in chosen)
    return sorted(chosen, key=lambda case: (int(case.key.partition("-")[2]) + 0.5) / counts[case.family])


def main() -> None:
    """Do the steps that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", default=["train"], choices=["train", "judge"])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds of training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = mixed(cases(short=arguments.short))
    if "train" in arguments.steps:
        print(f"{run(chosen, budget=arguments.budget)} cases are left to train")
    if "judge" in arguments.steps:
        print(f"{judge_all(chosen, budget=arguments.budget)} cases are left to judge")


if __name__ == "__main__":
    main()
