"""Where few-shot training should start from: accuracy on classes never seen, at 1 and 5 samples a class.

    python benchmarks/fewshot.py                 # what is not stored yet, into benchmarks/results/fewshot.json
    python benchmarks/fewshot.py --seconds 200   # for so long; run again to go on
    python benchmarks/fewshot.py --short         # one start of each kind on one set, a tenth of the steps, prints only

Five-way tasks from two image sets of 12 x 12 pixels that need no download (see fewshot_tasks.py): scikit-learn's
digits, each moved at random, with rotations by 90 degrees as classes of their own (20 classes of 4 or 5 digits to learn
from, the other digits to be tested on), and distorted glyphs of one font, made on the spot (29 and 20 classes). One
network for all, 144-128-128-5 with ReLU, and one way to use every start: gradient descent on the support set.

random        PyTorch's default draw.
joint         trained by Adam to tell all training classes apart, then a new head of zeros or of the default draw. Its
              number of steps is chosen among LENGTHS: 5 times the outer steps of the meta-learners, and 16 times,
              one for each of MAML's tasks.
MAML          second order, 3 inner steps on 5 samples a class, 16 tasks a step; it begins with a head of zeros, since
              what is class 0 changes from task to task (Ye and Chao 2021, arXiv 2106.16245).
Reptile       by its definition: one task a step, 10 inner steps of gradient descent on 10 samples each, 16,000
              gradients in all, where MAML takes 12,800.
conditioned   head and modulation generated from the support set, then tuned like all others.

What is tuned for every start alike, by seed and number of shots, on tasks of the training classes: the rate of the
gradient descent, its number of steps, whether all layers or the head alone move; for `joint` also its length and head.
The tasks to learn from take any five training classes, those to tune and test on five digits in one rotation each.
Each seed has its own split of the classes, start and tasks. Intervals are 95%, by Student's t over the five seeds.
The target: MAML or Reptile beats the random and the joint start at 1 and at 5 shots.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from conditions import trained
from fewshot_tasks import SIDE, WAYS, Images, digits, glyphs, task
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from initadvisor.apply.meta import conditioned, maml, reptile

RESULTS = Path(__file__).parent / "results" / "fewshot.json"
SETS: dict[str, tuple[Callable[[], Images], int]] = {"digits": (digits, 5), "glyphs": (glyphs, 20)}
"""What makes a set, and how many of its groups are novel."""
SEEDS, SHOTS, WIDTH = (0, 1, 2, 3, 4), (1, 5), 128
METHODS = ("random", "joint", "MAML", "Reptile", "conditioned")
RATES, LENGTHS_OF_TUNING = (0.03, 0.1, 0.3, 1.0), (0, 5, 20)
OUTER, TASKS = 200, 16
LENGTHS = (5 * OUTER, TASKS * OUTER)
VALIDATION, TEST, QUERIES = 16, 100, 15
"""Tasks to tune on, tasks to test on, and samples of each class to be told."""
STUDENT = 2.776
"""Student's t at 97.5% with four degrees of freedom."""

State = dict[str, torch.Tensor]
Row = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A start for each of some tasks (`of`), and what it is called."""

    name: str
    of: Callable[[Any], State]


def network(outputs: int = WAYS) -> nn.Sequential:
    """144-128-128-outputs."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(SIDE * SIDE, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
        nn.Linear(WIDTH, outputs),
    )  # fmt: skip


def run(name: str, method: str, seed: int, short: bool = False) -> Row:
    """Learn one start and test it at each number of shots."""
    make, novel = SETS[name]
    images = make()
    known, unseen = images.split(seed, novel)
    # The last fifth of each training class is kept for tuning.
    learn, tune = _parts(images, known)
    clock = time.process_time()
    candidates = starts(method, images, known, learn, seed, short)
    spent = time.process_time() - clock
    row: Row = {"seconds_to_learn": round(spent, 1)}
    for shots in SHOTS:
        validation = tasks(images, known, tune, shots, VALIDATION, 1000 + seed)
        test = tasks(images, unseen, slice(None), shots, 10 if short else TEST, 2000 + seed)
        scores = {
            (candidate.name, *setting): score
            for candidate in candidates
            for only_head in (False, True)
            for setting, score in tuned(candidate, validation, RATES, only_head).items()
        }
        best = max(scores, key=lambda key: scores[key])
        chosen = next(candidate for candidate in candidates if candidate.name == best[0])
        _, rate, steps, only_head = best
        accuracy = tuned(chosen, test, (rate,), only_head)[rate, steps, only_head]
        row[f"{shots}-shot"] = round(accuracy, 4)
        row[f"{shots}-shot chosen"] = (
            f"{best[0]}, rate {rate:g}, {steps} steps, {'head' if only_head else 'all layers'}"
        )
    return row


def _parts(images: Images, groups: list[int]) -> tuple[slice, slice]:
    least = min(len(variant) for group in groups for variant in images.groups[group])
    return slice(0, int(0.7 * least)), slice(int(0.7 * least), None)


def starts(method: str, images: Images, known: list[int], part: slice, seed: int, short: bool) -> list[Candidate]:
    """The starts of one method among which the tuning chooses."""
    torch.manual_seed(seed)
    model = network()

    def sampler(generator: torch.Generator) -> Any:
        return task(images, known, part, 5, 5, generator, apart=False)

    outer = OUTER // 10 if short else OUTER
    plain = {name: value.detach().clone() for name, value in model.state_dict().items()}
    if method == "random":
        return [Candidate("default draw", lambda _: plain)]
    if method == "joint":
        return joint(images, known, part, plain, [n // 10 for n in LENGTHS] if short else LENGTHS)
    if method == "conditioned":
        learned = conditioned(model, sampler, steps=outer, tasks=4, seed=seed)
        return [Candidate("generated", learned.start)]
    if method == "MAML":
        nn.init.zeros_(model[-1].weight)
        nn.init.zeros_(model[-1].bias)
        state = maml(
            model, sampler, steps=outer, tasks=TASKS, inner_steps=3, inner_rate=0.4, outer_rate=3e-3, seed=seed
        )
    else:
        state = reptile(
            model,
            sampler,
            steps=8 * outer,
            tasks=1,
            inner_steps=10,
            batch=10,
            inner_rate=0.2,
            outer_rate=0.7,
            seed=seed,
        )
    return [Candidate("learned", lambda _: state)]


def joint(images: Images, known: list[int], part: slice, plain: State, lengths: Any) -> list[Candidate]:
    """Features that tell all training classes apart, after each of some numbers of steps, under a new head."""
    classes = [images.groups[group][v][part] for group in known for v in range(len(images.groups[group]))]
    x = torch.cat(classes)
    y = torch.cat([torch.full((len(own),), number) for number, own in enumerate(classes)])
    model = network(len(classes))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    found = []
    for step in range(1, max(lengths) + 1):
        pick = torch.randint(0, len(x), (50,))  # as many as a task has
        optimizer.zero_grad()
        F.cross_entropy(model(x[pick]), y[pick]).backward()
        optimizer.step()
        if step in lengths:
            body = {n: v.detach().clone() for n, v in model.state_dict().items() if not n.startswith("5.")}
            drawn = {**plain, **body}
            zero = {n: torch.zeros_like(v) if n.startswith("5.") else v for n, v in drawn.items()}
            found += [
                Candidate(f"{step} steps, drawn head", lambda _, state=drawn: state),
                Candidate(f"{step} steps, zero head", lambda _, state=zero: state),
            ]
    return found


def tasks(images: Images, groups: list[int], part: slice, shots: int, count: int, seed: int) -> tuple[Any, Any]:
    """Support and query sets of tasks, each as (inputs, labels) with the tasks first."""
    generator = torch.Generator().manual_seed(seed)
    room = min(len(variant[part]) for group in groups for variant in images.groups[group])
    queries = min(QUERIES, room - shots)
    drawn = [task(images, groups, part, shots, queries, generator) for _ in range(count)]
    stacks = [tuple(torch.stack([each[i][j] for each in drawn]) for j in (0, 1)) for i in (0, 1)]
    return stacks[0], stacks[1]


def tuned(candidate: Candidate, sets: Any, rates: Any, only_head: bool) -> dict[tuple[float, int, bool], float]:
    """Mean accuracy on the query sets by rate and number of steps of gradient descent on the support sets."""
    model = network()
    (x, y), query = sets
    made = [candidate.of(pair) for pair in zip(x, y, strict=True)]
    begin = {name: torch.stack([state[name] for state in made]) for name in made[0]}

    def loss(own: State, rest: State, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(model, own | rest, (inputs,)), targets)

    slope = vmap(grad(loss))
    found = {}
    for rate in rates:
        own = {n: v for n, v in begin.items() if n.startswith("5.") or not only_head}
        rest = {n: v for n, v in begin.items() if n not in own}
        for step in range(max(LENGTHS_OF_TUNING) + 1):
            if step in LENGTHS_OF_TUNING:
                found[rate, step, only_head] = accuracy(model, own | rest, query)
            gradients = slope(own, rest, x, y)
            own = {n: v - rate * gradients[n] for n, v in own.items()}
    return found


def accuracy(model: nn.Module, state: State, query: Any) -> float:
    """Share of right answers over all tasks; what is not finite is wrong."""
    output = vmap(lambda own, inputs: functional_call(model, own, (inputs,)))(state, query[0])
    right = (output.argmax(-1) == query[1]) & output.isfinite().all(-1)
    return float(right.double().mean())


def table(runs: dict[str, Row]) -> list[Row]:
    """A line for each set, number of shots and method that all seeds have run."""
    lines = []
    for name, shots in itertools.product(SETS, SHOTS):
        known = {m: [runs[k][f"{shots}-shot"] for s in SEEDS if (k := key(name, m, s)) in runs] for m in METHODS}
        if any(len(own) < len(SEEDS) for own in known.values()):
            continue
        for method, own in known.items():
            line: Row = {"set": name, "shots": shots, "start": method, **interval(own)}
            for other in ("random", "joint"):
                if method not in ("random", "joint"):
                    gap = interval([a - b for a, b in zip(own, known[other], strict=True)])
                    line[f"above {other}"] = gap
            lines.append(line)
    return lines


def interval(values: list[float]) -> Row:
    """Mean and half the width of its 95% interval."""
    return {"mean": round(mean(values), 4), "half_width": round(STUDENT * stdev(values) / len(values) ** 0.5, 4)}


def key(name: str, method: str, seed: int) -> str:
    """The name of a run in the results."""
    return f"{name} {method} {seed}"


def write(runs: dict[str, Row]) -> None:
    """The whole file: the table first."""
    found = {
        **trained(numpy=np.__version__),
        "setting": {"ways": WAYS, "outer_steps": OUTER, "tasks": TASKS, "rates": RATES, "steps": LENGTHS_OF_TUNING,
                    "joint_steps": LENGTHS, "test_tasks": TEST, "seeds": SEEDS},
        "table": table(runs),
        "runs": runs,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="each start once on digits, a tenth of the steps")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.short:
        for method in METHODS:
            print(method, run("digits", method, 0, short=True), flush=True)
        return
    runs: dict[str, Row] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
    until = time.monotonic() + options.seconds
    for seed, name, method in itertools.product(SEEDS, SETS, METHODS):
        if key(name, method, seed) in runs:
            continue
        if time.monotonic() > until:
            break
        runs[key(name, method, seed)] = found = run(name, method, seed)
        print(key(name, method, seed), found, flush=True)
        write(runs)
    write(runs)
    for line in table(runs):
        print(line)


if __name__ == "__main__":
    main()
