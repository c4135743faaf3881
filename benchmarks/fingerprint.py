"""Error rates of the fingerprint: how often a random draw is taken for trained, and a trained tensor for random.

    python benchmarks/fingerprint.py            # minutes; writes benchmarks/results/fingerprint.json
    python benchmarks/fingerprint.py --short    # a few nets and draws; prints only
    python benchmarks/fingerprint.py --only zoo # one part, merged into the results that are there

1. Draws of every initializer by numpy, at many shapes: called trained? given the right distribution and method?
2. Small nets on scikit-learn's digits, 200 steps, over architectures, initializers and optimizers: before training as
   torch drew them, before training with the generator's bits destroyed (as from a GPU or another framework), and
   after. Thresholds and weights were set on the calibration seeds; the figures that count are those of the test seeds.
3. torchvision's models: every matrix and kernel above 1,000 elements called random, with the distribution and the
   family (he, xavier, PyTorch's default, a plain width) that it was drawn from.

`alone` is the verdict of a tensor by itself, `settled` the one that its neighbours are asked for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from conditions import counted
from fingerprinting import RESULTS
from fingerprinting.draws import random_draws
from fingerprinting.table import as_markdown
from fingerprinting.training import CALIBRATION, TEST, trained_nets
from fingerprinting.zoo import zoo

PARTS = ("random_draws", "trained_calibration", "trained_test", "zoo")


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for and print its JSON; the full form also writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few nets and draws, nothing written")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (may be repeated)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop the zoo then; the next run goes on")
    parser.add_argument("--markdown", action="store_true", help="print the committed error rates as a table, and stop")
    options = parser.parse_args(argv)
    if options.markdown:
        print(as_markdown(json.loads(RESULTS.read_text())), end="")
        return 0
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.short else {}
    report: dict[str, Any] = {
        **{part: known[part] for part in PARTS if part in known},
        **counted("numpy", "torch", "torchvision", "scikit-learn"),
        "goal": "random draws called random 99%, tensors after 200 steps called trained 95%",
    }
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "random_draws": lambda: random_draws(range(100, 101) if options.short else range(100, 130)),
        "trained_calibration": lambda: trained_nets(CALIBRATION, 2 if options.short else 60),
        "trained_test": lambda: trained_nets(TEST, 3 if options.short else 60),
        "zoo": lambda: zoo(options.seconds),
    }
    chosen = options.only or [part for part in PARTS if not (options.short and part == "zoo")]
    for name in chosen:
        start = time.perf_counter()
        report[name] = {**steps[name](), "seconds": round(time.perf_counter() - start, 1)}
        print(json.dumps({name: report[name]}), flush=True)
        if not options.short:
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
