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
import datetime
import functools
import inspect
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from math import exp, prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.settle import SUSPECT
from initadvisor.analysis.fingerprint.verdicts import CLEAR
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Graph, Layer, Parameter
from initadvisor.ops.weighted import convolution_layout, embedding_layout, linear_layout, transposed_layout

RESULTS = Path(__file__).parent / "results" / "fingerprint.json"
ZOO = Path(__file__).parent / "results" / "fingerprint-zoo.jsonl"
LEAST = 1000
STEPS = 200
CALIBRATION, TEST = 0, 1
PARTS = ("random_draws", "trained_calibration", "trained_test", "zoo")

Weights = dict[str, np.ndarray]


# 1. Random draws ------------------------------------------------------------------------------------------------

SHAPES = [
    (64, 32), (100, 100), (32, 64), (256, 128), (10, 256), (512, 512), (64, 3, 7, 7), (64, 64, 3, 3), (128, 32, 1, 1),
    (128, 1, 3, 3), (1000, 300), (40, 26), (2048, 16), (768, 1536),
]  # fmt: skip


def _cut(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    drawn = generator.standard_normal(shape)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = generator.standard_normal(int(outside.sum()))
    return drawn


def _orthogonal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape[0], prod(shape[1:])
    unitary = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return (unitary if rows >= columns else unitary.T).reshape(shape)


def _drawn(generator: np.random.Generator, shape: tuple[int, ...]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(method/mode, distribution, weight) of one draw of each initializer."""
    fan_in, fan_out = prod(shape[1:]), shape[0] * prod(shape[2:])
    average = (fan_in + fan_out) / 2
    flat, normal = functools.partial(generator.uniform, -1, 1), generator.standard_normal
    free = exp(generator.uniform(-7, 1))
    yield "pytorch_default/fan_in", "uniform", flat(shape) / sqrt(fan_in)
    yield "kaiming_normal/fan_in", "normal", normal(shape) * sqrt(2 / fan_in)
    yield "kaiming_normal/fan_out", "normal", normal(shape) * sqrt(2 / fan_out)
    yield "kaiming_uniform/fan_in", "uniform", flat(shape) * sqrt(6 / fan_in)
    yield "xavier_uniform/fan_avg", "uniform", flat(shape) * sqrt(3 / average)
    yield "xavier_normal/fan_avg", "normal", normal(shape) / sqrt(average)
    yield "lecun_normal/fan_in", "normal", normal(shape) / sqrt(fan_in)
    yield (
        "lecun_truncated_normal/fan_in",
        "truncated_normal",
        _cut(generator, shape) / sqrt(fan_in) / 0.8796256610342398,
    )
    yield "normal", "normal", normal(shape) * 0.02
    yield "normal", "normal", normal(shape) * free
    yield "uniform", "uniform", flat(shape) * free
    yield "truncated_normal", "truncated_normal", _cut(generator, shape) * 0.02
    yield "orthogonal", "orthogonal", _orthogonal(generator, shape) * sqrt(2)


def random_draws(seeds: range) -> dict[str, Any]:
    """Error counts over numpy's draws; no two draws belong to one model, so none asks its neighbours."""
    tally: Counter[str] = Counter()
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for shape in SHAPES:
            for label, distribution, weight in _drawn(generator, shape):
                layout = linear_layout(shape, {}) if len(shape) == 2 else convolution_layout(
                    shape, {"groups": shape[0] if shape[1] == 1 else 1}
                )  # fmt: skip
                parameter = Parameter("w", shape, "float32", ArraySource(weight.astype(np.float32)))
                layer = Layer("w", "linear", "linear", "w", layout=layout)
                draw = tensor_facts(Graph("", "torch", parameters={"w": parameter}, layers=[layer]), threads=1)[
                    "w"
                ].draw
                assert draw is not None
                named = {draw.method, f"{draw.method}/{draw.mode}", *(draw.alternatives or ())}
                tally["tensors"] += 1
                tally["called trained"] += bool(draw.trained)
                tally["wrong distribution"] += draw.distribution != distribution
                tally["method is neither first nor an alternative"] += label not in named
                tally["method is not first"] += label.partition("/")[0] != draw.method
                sure = (draw.confidence or 0.0) > 0.95
                tally["sure and wrong"] += sure and label not in named and label not in ("normal", "uniform")
                tally["falsely proven"] += bool(draw.pristine)
    return {**tally, "false alarm rate": tally["called trained"] / tally["tensors"]}


# 2. Trained nets ------------------------------------------------------------------------------------------------


class Patches(nn.Module):
    """A small pre-norm vision transformer over 2 x 2 patches."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.position = nn.Parameter(torch.randn(1, 16, width) * 0.02)
        layer = functools.partial(nn.TransformerEncoderLayer, width, 4, 4 * width, 0.0, "gelu", batch_first=True)
        self.blocks = nn.Sequential(*(layer(norm_first=True) for _ in range(depth)))
        self.head = nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(-1, 16, 4)
        return self.head(self.blocks(self.embed(patches) + self.position).mean(1))


class Rows(nn.Module):
    """A two-layer LSTM that reads the image row by row."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(images)[0][:, -1])


def perceptron(width: int, depth: int, activation: type[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), activation(), *layers, nn.Linear(width, 10))


def convolutional(width: int, norm: bool) -> nn.Module:
    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm)
        return [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]

    layers = [
        *block(1, width, 1),
        *block(width, 2 * width, 2),
        *block(2 * width, 2 * width, 1),
        *block(2 * width, 4 * width, 2),
    ]
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10)
    )


NETS: dict[str, Callable[[], nn.Module]] = {
    "perceptron 256 x 5, relu": lambda: perceptron(256, 3, nn.ReLU),
    "perceptron 512 x 4, tanh": lambda: perceptron(512, 2, nn.Tanh),
    "perceptron 100 x 8, relu": lambda: perceptron(100, 6, nn.ReLU),
    "perceptron 1024 x 4, gelu": lambda: perceptron(1024, 2, nn.GELU),
    "convolutional 16": lambda: convolutional(16, False),
    "convolutional 32, batch norm": lambda: convolutional(32, True),
    "convolutional 64, batch norm": lambda: convolutional(64, True),
    "transformer 64 x 3": lambda: Patches(64, 3),
    "transformer 192 x 3": lambda: Patches(192, 3),
    "lstm 128 x 2": lambda: Rows(128),
}

STARTS: dict[str, Callable[[torch.Tensor], Any]] = {
    "default": lambda w: None,
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "kaiming_normal, fan out": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "normal 0.02": lambda w: nn.init.normal_(w, std=0.02),
    "truncated 0.02": lambda w: nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
    "orthogonal": lambda w: nn.init.orthogonal_(w, 2**0.5),
}

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD 0.01, momentum 0.9": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "SGD 0.1": lambda p: torch.optim.SGD(p, 0.1),
    "Adam 1e-3": lambda p: torch.optim.Adam(p, 1e-3),
    "Adam 3e-4": lambda p: torch.optim.Adam(p, 3e-4),
    "AdamW 1e-3, decay 0.05": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.05),
}


def trained_nets(split: int, count: int) -> dict[str, Any]:
    """Error counts over `count` combinations of net, start and optimizer, chosen and seeded by the split."""
    combinations = [(n, s, o) for n in NETS for s in STARTS for o in OPTIMIZERS]
    generator = np.random.default_rng(split)
    order = generator.permutation(len(combinations))[:count]
    tally: Counter[str] = Counter()
    votes: Counter[str] = Counter()
    missed: list[str] = []
    for index in order.tolist():
        net, start, optimizer = combinations[index]
        torch.manual_seed(10_000 * split + index)
        model = NETS[net]()
        for parameter in model.parameters():
            if parameter.dim() > 1 and parameter.numel() >= LEAST:
                STARTS[start](parameter)
        fresh = _weights(model)
        accuracy = _train(model, OPTIMIZERS[optimizer])
        moved = _weights(model)
        tally["nets"] += 1
        # A net whose gradients vanish has not been trained by its 200 steps: nothing is there to be seen.
        learnt = accuracy > 0.3
        tally["nets that learnt nothing"] += not learnt
        before, shaken, after = _draws(fresh), _draws(_shaken(fresh, generator)), _draws(moved)
        for state, found in (("fresh", before), ("fresh, other generator", shaken), ("trained", after)):
            if state == "trained" and not learnt:
                continue
            for name, draw in found.items():
                votes[f"{_kind(draw, fresh[name])} | {state}"] += 1
                if fresh[name].ndim < 2 or fresh[name].size < LEAST:
                    continue
                alone = bool(draw.trained) and draw.departure != "neighbours"
                tally[f"{state}: tensors"] += 1
                tally[f"{state}: called trained alone"] += alone
                tally[f"{state}: called trained, settled"] += bool(draw.trained)
                tally[f"{state}: proven untouched"] += bool(draw.pristine)
                if state == "trained" and not draw.trained:
                    missed.append(f"{net}; {start}; {optimizer}; {name}")
    rates = {
        "trained tensors called trained": tally["trained: called trained, settled"] / tally["trained: tensors"],
        "trained tensors called trained alone": tally["trained: called trained alone"] / tally["trained: tensors"],
        "fresh tensors called trained": tally["fresh: called trained, settled"] / tally["fresh: tensors"],
        "fresh tensors of another generator called trained": tally["fresh, other generator: called trained, settled"]
        / tally["fresh, other generator: tensors"],
    }
    return {"rates": rates, "counts": dict(tally), "evidence": dict(sorted(votes.items())), "missed": missed[:20]}


def _kind(draw: DrawFacts, weight: np.ndarray) -> str:
    """What a tensor says to its neighbours, as `initadvisor.analysis.fingerprint.settle` has it, before they answer."""
    if weight.ndim < 2:
        own = draw.trained and draw.departure != "neighbours"
        return "vector, constant" if draw.family == "constant" else ("vector, moved" if own else "vector, drawn")
    if draw.pristine or draw.family in ("constant", "identity", "orthogonal"):
        return "matrix, proven"
    score = draw.trained_score or 0.0
    return "matrix, clear" if score > CLEAR else ("matrix, suspect" if score > SUSPECT else "matrix, plain")


def _train(model: nn.Module, optimizer: Callable[[Any], torch.optim.Optimizer]) -> float:
    """Train, and return the accuracy over the last 20 batches."""
    data = load_digits()
    images, labels = torch.tensor(data.images, dtype=torch.float32) / 8 - 1, torch.tensor(data.target)
    steps, chosen = optimizer(model.parameters()), torch.Generator().manual_seed(0)
    right = 0.0
    for step in range(STEPS):
        batch = torch.randint(len(labels), (64,), generator=chosen)
        logits = model(images[batch])
        loss = F.cross_entropy(logits, labels[batch])
        steps.zero_grad()
        loss.backward()
        steps.step()
        right += float((logits.argmax(1) == labels[batch]).float().mean()) if step >= STEPS - 20 else 0.0
    return right / 20


def _weights(model: nn.Module) -> Weights:
    return {name: tensor.detach().numpy().copy() for name, tensor in model.named_parameters()}


def _shaken(weights: Weights, generator: np.random.Generator) -> Weights:
    """The same draws without the last bits: no proof of the generator is left, and no statistic changes."""
    return {
        name: array if array.min() == array.max() else (array * (1 - 1e-5 * generator.random(array.shape))).astype("f4")
        for name, array in weights.items()
    }


def _draws(weights: Weights) -> dict[str, DrawFacts]:
    parameters = {n: Parameter(n, a.shape, "float32", ArraySource(a)) for n, a in weights.items()}
    found = tensor_facts(Graph("", "checkpoint", parameters=parameters, edges=False), threads=1)
    return {name: fact.draw for name, fact in found.items() if fact.draw is not None}


# 3. The zoo -----------------------------------------------------------------------------------------------------

DISTRIBUTIONS = {
    "uniform_": "uniform", "xavier_uniform_": "uniform", "kaiming_uniform_": "uniform", "normal_": "normal",
    "xavier_normal_": "normal", "kaiming_normal_": "normal", "trunc_normal_": "normal", "constant_": "constant",
    "zeros_": "constant", "ones_": "constant", "orthogonal_": "orthogonal",
}  # fmt: skip
"""What each function of `torch.nn.init` draws; torchvision's truncated normals are cut at +-2, beyond any draw."""


FAMILIES = {"xavier_uniform_": "xavier", "xavier_normal_": "xavier", "kaiming_uniform_": "he", "kaiming_normal_": "he"}
"""What a function draws by its name; a normal or uniform of a plain width may be any family's of that very width."""

METHODS = {
    "pytorch_default": "default", "kaiming_normal": "he", "kaiming_uniform": "he", "xavier_normal": "xavier",
    "xavier_uniform": "xavier", "xavier_uniform_fused": "xavier", "lecun_normal": "lecun", "lecun_uniform": "lecun",
}  # fmt: skip
"""The families of the methods that are named as alternatives."""


def zoo(seconds: float) -> dict[str, Any]:
    """Error counts over freshly built torchvision models, against a record of the functions that drew them.

    A line a model is kept in fingerprint-zoo.jsonl: a run goes on where the one before stopped, after `seconds`.
    """
    import torchvision

    rows = [json.loads(line) for line in ZOO.read_text().splitlines()] if ZOO.exists() else []
    known, start = {row["model"] for row in rows}, time.perf_counter()
    names = sorted(torchvision.models.list_models(), key=_parameters)
    drawn_by = _record()
    for name in names:
        if name in known or time.perf_counter() - start > seconds:
            continue
        rows.append(_of_model(name, drawn_by))
        with ZOO.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    tally: Counter[str] = Counter()
    rows = list({row["model"]: row for row in rows}.values())
    for row in rows:
        tally.update(row["counts"])
    size = max(tally["tensors"], 1)
    return {
        "models": len(rows),
        "models left": len(names) - len(rows),
        **tally,
        "called random": 1 - tally["called trained"] / size,
        "right": 1 - tally["wrong"] / size,
        "cases": [case for row in rows for case in row["cases"]][:20],
    }


def _parameters(name: str) -> int:
    """Of the model's first set of weights; the smallest models come first."""
    import torchvision

    return max((int(entry.meta["num_params"]) for entry in torchvision.models.get_model_weights(name)), default=0)


def _of_model(name: str, drawn_by: dict[int, tuple[str, float]]) -> dict[str, Any]:
    import torchvision

    drawn_by.clear()
    torch.manual_seed(0)
    builder = torchvision.models.get_model_builder(name)
    backbone = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = torchvision.models.get_model(name, weights=None, **backbone)
    graph, kinds = _graph(model)
    found = tensor_facts(graph)
    tally: Counter[str] = Counter({"called trained": 0, "wrong": 0})
    wrong: list[str] = []
    for parameter_name, parameter in model.named_parameters():
        draw, truth = found[parameter_name].draw, drawn_by.get(id(parameter))
        if parameter.numel() <= LEAST or parameter_name not in kinds or draw is None:
            continue
        tally["tensors"] += 1
        tally["proven untouched"] += bool(draw.pristine)
        tally["called trained"] += bool(draw.trained)
        tally["drawn by other code"] += truth is None
        if draw.trained is not False or not (truth is None or _right(draw, *truth)):
            tally["wrong"] += 1
            wrong.append(f"{name} {parameter_name}: {truth} -> {draw.method} ({draw.family}, {draw.distribution})")
    return {"model": name, "counts": dict(tally), "cases": wrong[:5]}


def _right(draw: DrawFacts, function: str, width: float) -> bool:
    """Whether a draw has the distribution and the family of the function that made it, among what fits equally well.

    width: the standard deviation that a plain normal was asked for, the gain that a Kaiming draw was made with.
    """
    if DISTRIBUTIONS[function] != draw.distribution:
        return False
    if function not in FAMILIES:
        return draw.std is None or not width or abs(draw.std / width - 1) < 0.03
    wanted = {FAMILIES[function]}
    if function.startswith("kaiming") and abs(width - sqrt(2)) > 1e-9:
        # He's formula with another gain is the default's at 1/sqrt(3), LeCun's at 1, and else that of no name.
        uniform = function == "kaiming_uniform_"
        wanted = {"default"} if uniform and abs(width - sqrt(1 / 3)) < 1e-9 else {"lecun", "scaled"}
    others = {METHODS.get(text.partition("/")[0], "") for text in draw.alternatives or ()}
    return bool(wanted & {draw.family, *others})


def _record() -> dict[int, tuple[str, float]]:
    """Wrap the functions of `torch.nn.init`; returns the table of what drew each tensor last, and how wide, by id."""
    table: dict[int, tuple[str, float]] = {}
    nested: list[str] = []

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        def width(arguments: dict[str, Any]) -> float:
            if name.startswith("kaiming"):
                return float(nn.init.calculate_gain(arguments["nonlinearity"], arguments["a"]))
            return float(arguments.get("std", 0.0)) if name in ("normal_", "trunc_normal_") else 0.0

        @functools.wraps(function)
        def call(tensor: Any, *given: Any, **named: Any) -> Any:
            nested.append(name)
            try:
                return function(tensor, *given, **named)
            finally:
                nested.pop()
                if not nested:
                    bound = signature.bind(tensor, *given, **named)
                    bound.apply_defaults()
                    table[id(tensor)] = (name, width(bound.arguments))

        return call

    for name in DISTRIBUTIONS:
        setattr(nn.init, name, wrapped(name, getattr(nn.init, name)))
    for name in ("xavier_uniform_", "xavier_normal_", "constant_"):
        setattr(torch.nn.modules.activation, name, getattr(nn.init, name))
    return table


def _graph(model: nn.Module) -> tuple[Graph, set[str]]:
    """The parameters of a module with the layouts of its layers, and the names of its matrices and kernels."""
    parameters = {
        n: Parameter(n, tuple(p.shape), str(p.dtype).removeprefix("torch."), ArraySource(p.detach().numpy()))
        for n, p in model.named_parameters()
    }
    names = {id(p): n for n, p in model.named_parameters()}
    layers, kinds = [], set()
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter):
            continue
        shape = tuple(weight.shape)
        attributes = {"groups": getattr(module, "groups", 1), "stride": getattr(module, "stride", 1)}
        layout, kind = None, "norm"
        if isinstance(module, nn.Linear):
            layout, kind = linear_layout(shape, {}), "linear"
        elif isinstance(module, nn.modules.conv._ConvTransposeNd):
            layout, kind = transposed_layout(shape, attributes), "linear"
        elif isinstance(module, nn.modules.conv._ConvNd):
            layout, kind = convolution_layout(shape, attributes), "linear"
        elif isinstance(module, nn.Embedding):
            layout, kind = embedding_layout(shape, {}), "embedding"
        bias = getattr(module, "bias", None)
        bias_name = names.get(id(bias)) if isinstance(bias, nn.Parameter) else None
        layers.append(Layer(path, kind, kind, names[id(weight)], bias_name, layout=layout))  # type: ignore[arg-type]
        if kind != "norm":
            kinds.add(names[id(weight)])
    return Graph("", "torch", parameters=parameters, layers=layers), kinds


def as_markdown(report: dict[str, Any]) -> str:
    """The error rates as the table of docs/pretrained.md."""
    counts, zoo_counts, draws = report["trained_test"]["counts"], report["zoo"], report["random_draws"]
    fresh, other, trained = "fresh", "fresh, other generator", "trained"
    looked_at = f"torchvision models at random init ({zoo_counts['models']} of {_all(zoo_counts)})"
    right = zoo_counts["tensors"] - zoo_counts["wrong"]
    rows = [
        (f"{looked_at}: called trained", zoo_counts["called trained"], zoo_counts["tensors"], "at most 1%"),
        (f"{looked_at}: random, of the right distribution and family", right, zoo_counts["tensors"], "99%"),
        ("numpy's draws of every initializer: called trained", draws["called trained"], draws["tensors"], "at most 1%"),
    ]
    for state, goal in ((fresh, "at most 1%"), (other, "at most 1%"), (trained, "95%")):
        what = "after 200 steps" if state == trained else "before training" + (state == other) * ", another generator's"
        called = counts[f"{state}: called trained, settled"]
        rows.append((f"small nets on digits, {what}: called trained", called, counts[f"{state}: tensors"], goal))
    alone = counts["trained: called trained alone"]
    rows.append(("the same, each tensor by itself", alone, counts["trained: tensors"], "none"))
    lines = ["| tensors | count | of | rate | goal |", "|---|---|---|---|---|"]
    lines += [f"| {what} | {count} | {of} | {count / of:.2%} | {goal} |" for what, count, of, goal in rows]
    return "\n".join(lines) + "\n"


def _all(counts: dict[str, Any]) -> int:
    return int(counts["models"]) + int(counts["models left"])


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
        "date": datetime.date.today().isoformat(),
        "machine": {"processors": os.cpu_count(), "system": platform.platform()},
        "versions": {name: version(name) for name in ("numpy", "torch", "torchvision", "scikit-learn")},
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
