"""Is every torchvision model recognised by its shapes, and does a file of one fit into another?

    python benchmarks/recognition.py               # a minute; writes benchmarks/results/recognition.json
    python benchmarks/recognition.py --short       # the smallest ten; prints only

1. Each architecture as it is, with a head for 10 classes and a stem for one channel, and with fully connected layers
   stored the other way round: which architectures are named, and how near is the nearest other one?
2. The state dict of each against the model of every other of its family, and one of each family against one of each
   other: the share of the model that it covers, and the share of the
   file that finds a place. Where both are below `apply.least_share` of rules/pretrained.toml, the file is refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from conditions import counted

from initadvisor.analysis.recognition import likeness
from initadvisor.apply.pretrained import match
from initadvisor.apply.pretrained.matching import Tensor
from initadvisor.engine.judgement import judgement
from initadvisor.engine.recognising import MOST_NAMES
from initadvisor.frontends.registry import torchvision_models

RESULTS = Path(__file__).parent / "results" / "recognition.json"
Shapes = dict[str, tuple[int, ...]]


def adapted(shapes: Shapes) -> Shapes:
    """The same model with a head for 10 classes and a stem for one channel, matrices transposed."""
    made = dict(shapes)
    stem = next((name for name, shape in shapes.items() if len(shape) == 4 and shape[1] == 3), None)
    if stem is not None:
        made[stem] = (made[stem][0], 1, *made[stem][2:])
    for name, shape in shapes.items():
        if shape and shape[0] == 1000:
            made[name] = (10, *shape[1:])
        if len(made[name]) == 2:
            made[name] = made[name][::-1]
    return made


def recognised(known: dict[str, Shapes]) -> dict[str, Any]:
    """How often the right architecture is first, and how near the nearest other one comes."""
    right = alone = 0
    nearest: list[tuple[float, str, str]] = []
    twins: set[str] = set()
    for name, shapes in known.items():
        for subject in (shapes, adapted(shapes)):
            scores = {other: likeness(subject, entries) for other, entries in known.items() if _near(subject, entries)}
            exact = [other for other, alike in scores.items() if alike.exact]
            named = max((scores[other].names for other in exact), default=0.0)
            if named >= MOST_NAMES:
                exact = [other for other in exact if scores[other].names == named]
            right += name in exact
            alone += exact == [name]
            twins |= {" = ".join(sorted(exact))} if len(exact) > 1 else set()
            others = [(a.share, name, other) for other, a in scores.items() if other not in exact]
            nearest += [max(others)] if others else []
    return {
        "cases": 2 * len(known), "right among the named": right, "right and alone": alone, "same shapes": sorted(twins),
        "nearest other, largest shares": [list(each) for each in sorted(nearest, reverse=True)[:8]],
    }  # fmt: skip


def _near(one: Shapes, other: Shapes) -> bool:
    sizes = [sum(prod(shape) for shape in shapes.values()) for shapes in (one, other)]
    return torchvision_models.FEWEST < sizes[0] / sizes[1] < torchvision_models.MOST


def foreign(known: dict[str, Shapes]) -> dict[str, Any]:
    """How much of a model the file of another covers: all pairs of a family, and one of each family with each other."""
    from torchvision import models

    family = {name: models.get_model_builder(name).__module__ for name in known}
    firsts = {name for name in known if name == next(n for n in known if family[n] == family[name])}
    least = judgement().least_covered
    pairs: list[tuple[float, str, str]] = []
    complete: list[str] = []
    tensors = {name: {key: Tensor(shape, "float32") for key, shape in s.items()} for name, s in known.items()}
    for model, wanted in tensors.items():
        for file, given in tensors.items():
            if model == file or not (family[model] == family[file] or {model, file} <= firsts):
                continue
            found = match(given, wanted)
            taken = sum(prod(e.shape) for e in found.of("matched", "renamed", "adapted"))
            total = sum(prod(t.shape) for t in wanted.values())
            held = sum(prod(t.shape) for t in given.values())
            if not found.of("missing", "mismatched") and not found.deeper:
                complete.append(f"{file} into {model}")
            pairs.append((max(taken / total, taken / held), file, model))
    shares = np.array([share for share, _, _ in pairs])
    return {
        "pairs": len(pairs), "least share": least, "taken for the same model in part": int((shares >= least).sum()),
        "of these, of another family": sum(share >= least and family[f] != family[m] for share, f, m in pairs),
        "taken for the same model": complete,
        "shares at 50, 90, 99%": [round(float(q), 3) for q in np.quantile(shares, (0.5, 0.9, 0.99))],
        "largest": [[round(s, 3), f, m] for s, f, m in sorted(pairs, reverse=True)[:12]],
    }  # fmt: skip


PARTS: dict[str, Callable[[dict[str, Shapes]], dict[str, Any]]] = {
    "recognised by shapes": recognised,
    "files of other models": foreign,
}


def main(argv: list[str] | None = None) -> int:
    """Measure and print; the full form also writes."""
    from torchvision import models

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the first ten architectures, nothing written")
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="run this part; the other one is kept")
    options = parser.parse_args(argv)
    names = models.list_models(module=models)[: 10 if options.short else None]
    known = {name: torchvision_models.entries(name) for name in names}
    held = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.short else {}
    report = {
        **counted("torch", "torchvision"),
        **{part: held[part] for part in PARTS if part in held},
        **{part: PARTS[part](known) for part in options.only or PARTS},
    }
    print(json.dumps(report, indent=2))
    if not options.short:
        RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
