"""The networks of the benchmark: every factor of each drawn by a fixed keyed hash, so that a case never changes.

`cases()` lists them; `build(case, seed)` makes the network of one; `batch(case, seed)` its first samples.
What is wrong with a case is known from how it was made (`planted`); whether it trains is measured (training.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from . import networks
from .data import Data, load
from .inits import HARMLESS, SOUND, start

KEY = "trainability 1"
SEEDS = (0, 1, 2)
RATES = (0.003, 0.03, 0.3)
"""Learning rates of plain SGD with momentum 0.9."""

CAUSES = ("none", "initialization", "learning_rate", "data_scale", "head", "architecture")

COUNTS = {"mlp": 290, "cnn": 110, "resnet": 110, "rnn": 85, "lstm": 50, "transformer": 110, "autoencoder": 95}
"""Cases of each family."""

SEEN = {"mlp": 120, "cnn": 45, "resnet": 45, "rnn": 35, "lstm": 20, "transformer": 45, "autoencoder": 40}
"""Of these, the first ones. Their test half was looked at, to learn where verdicts go wrong: it is a test no longer,
and calibrates with the rest. The half of the others that is for testing was drawn afterwards."""

SHORT = {"mlp": 10, "cnn": 3, "resnet": 3, "rnn": 2, "lstm": 2, "transformer": 4, "autoencoder": 2}
"""Of these, the first ones that the short form takes."""

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One network and what it is trained on. depth: hidden layers (blocks of a ResNet or transformer)."""

    key: str
    family: str
    data: str
    depth: int
    width: int
    activation: str
    norm: str
    residual: bool
    squeeze: int
    steps: int
    recipe: str
    fault: str
    rates: tuple[float, ...]
    scale: str
    tail: str
    planted: str
    part: str

    def row(self) -> dict[str, Any]:
        """The factors as they stand in the table."""
        return {**asdict(self), "rates": " ".join(f"{rate:g}" for rate in self.rates)}


_DEPTHS = {
    "mlp": (2, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 100),
    "cnn": (2, 3, 4, 6, 8, 10, 12, 16),
    "resnet": (1, 2, 3, 4, 6, 8),
    "rnn": (1, 1, 1, 2, 3),
    "lstm": (1, 1, 1, 2),
    "transformer": (1, 1, 2, 3, 4, 6),
    "autoencoder": (2, 4, 6, 8, 12, 16, 24),
}
_WIDTHS = {
    "mlp": (16, 16, 32, 32, 32, 64),
    "cnn": (8, 8, 12),
    "resnet": (8, 8, 12),
    "autoencoder": (32,),
    "transformer": (16, 16, 16, 32),
    "rnn": (16, 16, 32),
    "lstm": (16, 16, 32),
}
_ACTIVATIONS = {
    "mlp": ("relu", "relu", "tanh", "sigmoid", "gelu", "silu", "elu", "selu", "leaky_relu", "softplus", "softsign",
            "hardtanh", "mish", "relu6", "hardswish", "linear"),
    "cnn": ("relu", "relu", "tanh", "gelu", "silu", "leaky_relu", "elu", "sigmoid", "hardswish"),
    "resnet": ("relu", "relu", "silu", "gelu", "leaky_relu", "tanh"),
    "rnn": ("tanh", "tanh", "relu"),
    "lstm": ("tanh",),
    "transformer": ("gelu", "relu", "silu"),
    "autoencoder": ("relu", "tanh", "gelu", "elu", "sigmoid", "silu", "selu"),
}  # fmt: skip
_NORMS = {
    "mlp": ("none", "none", "none", "none", "batch", "layer", "group"),
    "cnn": ("none", "none", "none", "batch", "layer", "group"),
    "resnet": ("none", "none", "batch", "group", "layer"),
    "transformer": ("pre", "pre", "post", "none"),
    "autoencoder": ("none", "none", "none", "layer", "batch"),
}
_FLAWED = ("identity", "gain x0.3", "gain x3", "normal 1", "normal 1", "normal 0.1", "normal 0.01", "normal 0.001",
           "uniform 0 to 1", "constant 0.01", "constant 0.5", "zeros", "truncated 0.02")  # fmt: skip
_PLANTED = ("one layer x10", "one layer x100", "one layer x0.1", "one layer x1e-4", "one layer zero",
            "one layer constant", "one weight 1e4", "biases 10", "biases -3", "biases -10", "copied layers",
            "equal units", "half of units equal", "head x1000", "head zero", "head bias 50")  # fmt: skip
_SCENARIOS = {"sound": 36, "recipe": 24, "fault": 22, "rate": 6, "scale": 6, "head": 4, "squeeze": 2}
"""Shares of the kinds of cases, in percent."""

_OFF_RATES = ((30.0, 300.0, 3000.0), (1e-8, 1e-7, 1e-6), (1e-7, 1e-6, 1e-5), (10.0, 100.0, 1000.0))
_SATURATING = ("sigmoid", "softplus", "tanh", "softsign", "hardtanh", "relu6", "hardswish")


def draw(key: str, factor: str, options: Sequence[T]) -> T:
    """One of the options, by the hash of the case's key and the factor's name."""
    digest = hashlib.sha256(f"{KEY}|{key}|{factor}".encode()).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


def cases(short: bool = False) -> list[Case]:
    """All cases, or the few of the short form, in a fixed order."""
    counts = SHORT if short else COUNTS
    return [_case(family, index) for family, count in counts.items() for index in range(count)]


def _case(family: str, index: int) -> Case:
    key = f"{family}-{index:03d}"
    kinds = [name for name, share in _SCENARIOS.items() for _ in range(share)]
    # The kinds take turns by index and not by chance: every family has its share of each, whatever its size.
    kind = kinds[index * 37 % 100]
    depth = draw(key, "depth", _DEPTHS[family])
    norm = draw(key, "norm", _NORMS.get(family, ("none",)))
    activation = draw(key, "activation", _ACTIVATIONS[family])
    residual = (
        family == "resnet" or family == "transformer" or (family == "mlp" and draw(key, "residual", "nnnny") == "y")
    )
    name = "pixels" if family == "autoencoder" else "digits"
    if family == "mlp":
        name = draw(key, "data", ("digits", "digits", "digits", "wine", "cancer", "diabetes"))
    scale, tail, rates = "standard", "none", RATES
    recipe = draw(key, "sound recipe", SOUND)
    if kind == "scale":
        scales = {"diabetes": ("raw", "raw target", "x1e-4"), "pixels": ("raw target", "x1e-4")}
        scale = draw(key, "scale", scales.get(name, ("x255", "x255", "raw", "x1e-4")))
    elif kind == "head":
        tail = draw(key, "tail", ("relu", "sigmoid", "x1000", "x0.001") if name in ("diabetes", "pixels")
                    else ("softmax", "relu", "sigmoid", "x1000", "x0.001"))  # fmt: skip
    elif kind == "rate":
        rates = draw(key, "rates", _OFF_RATES)
    elif kind == "recipe":
        recipe = draw(key, "flawed recipe", _FLAWED)
    fault = draw(key, "fault", _PLANTED) if kind == "fault" else "none"
    squeeze = draw(key, "squeeze", (1, 2)) if kind == "squeeze" and family in ("mlp", "autoencoder") else 0
    case = Case(
        key=key,
        family=family,
        data=name,
        depth=depth,
        width=draw(key, "width", _WIDTHS.get(family, (16, 32))),
        activation=activation,
        norm=norm,
        residual=residual,
        squeeze=squeeze,
        steps=draw(key, "steps", (8, 8, 8, 8, 16)) if family in ("rnn", "lstm") else 0,
        recipe=recipe,
        fault=fault,
        rates=tuple(rates),
        scale=scale,
        tail=tail,
        planted="none",
        part=_part(family, index, key),
    )
    return Case(**{**asdict(case), "rates": case.rates, "planted": planted(case)})


def _part(family: str, index: int, key: str) -> str:
    part = draw(key, "part", ("calibration", "test"))
    return "calibration" if index < SEEN[family] else part


def planted(case: Case) -> str:
    """The cause that a failure of this case has by construction; "none" where nothing was done wrong.

    A sound recipe that is not made for the activation or the depth is a choice of initialization, too; a deep stack
    of saturating units without norms and shortcuts fails with any of the usual recipes, which is its architecture's.
    """
    if case.rates != RATES:
        return "learning_rate"
    if case.scale != "standard":
        return "data_scale"
    if case.tail != "none":
        return "head"
    if case.squeeze:
        return "architecture"
    if case.fault not in HARMLESS or case.recipe not in SOUND:
        return "initialization"
    if case.norm == "none" and not case.residual and case.depth >= 10:
        if case.activation in _SATURATING and case.recipe in ("recommended", "orthogonal"):
            return "architecture"
        if case.recipe not in ("recommended", "orthogonal"):
            return "initialization"
    return "none"


def build(case: Case, seed: int) -> nn.Module:
    """The network of a case as it starts; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(f"{KEY}|{case.key}|{seed}".encode()).digest()[:7], "big"))
        module = _architecture(case, data(case))
        start(module, case.recipe, case.fault, case.activation)
    if case.tail != "none":
        return nn.Sequential(module, networks.TAILS[case.tail]())
    return module


def _architecture(case: Case, found: Data) -> nn.Module:
    features, outputs = found.inputs.shape[1], found.outputs
    depth, width, activation, norm = case.depth, case.width, case.activation, case.norm
    if case.family == "mlp":
        return networks.MLP(features, outputs, depth, width, activation, norm, case.residual, case.squeeze)
    if case.family == "autoencoder":
        return networks.Autoencoder(features, outputs, depth, width, activation, norm, False, case.squeeze)
    if case.family == "cnn":
        return networks.CNN(outputs, depth, width, activation, norm)
    if case.family == "resnet":
        return networks.ResNet(outputs, depth, width, activation, norm)
    if case.family == "transformer":
        return networks.Transformer(outputs, depth, width, activation, norm)
    return networks.Recurrent(case.family, outputs, depth, width, activation, case.steps)


def data(case: Case) -> Data:
    """The data of a case, split and scaled."""
    return load(case.data, case.scale)


def batch(case: Case, seed: int = 0, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of `size` training samples, drawn by the seed."""
    found = data(case)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(found.inputs), generator=generator)[:size]
    return found.inputs[chosen], found.targets[chosen]
