"""Faults to plant in a healthy torch model, one at a time, and the rule that must name each.

A fault changes one module (or, for whole-model faults, all of them); the expectation says which rules may name it
at that layer, first the one that should.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Host:
    """A healthy model with a layer to break: how it is built, its input, and the module to plant faults in."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    layer: str


@dataclass(frozen=True)
class Case:
    """A fault in a host: `rule` must fire on `subject` (a module path, or "" for anywhere in the model)."""

    host: Host
    fault: str
    rule: str
    severity: str

    @property
    def label(self) -> str:
        """How tests and benchmark tables name it."""
        return f"{self.host.name}-{self.fault}"


def he_mlp(depth: int = 6, width: int = 64, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A plain stack drawn by He's rule with zero biases and PyTorch's default head."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(width, width)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def wide_mlp() -> nn.Sequential:
    """A healthy stack whose second layer widens eightfold, so that its two fans differ."""
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    for layer in (model[0], model[2], model[4]):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def xavier_stack() -> nn.Sequential:
    """30 ReLU layers drawn by Xavier's rule: 0.71 of the signal is left per layer."""
    model = he_mlp(depth=30)
    for layer in list(model)[:-1:2]:
        nn.init.xavier_normal_(layer.weight)
    return model


def sigmoid_stack() -> nn.Sequential:
    """20 sigmoid layers with PyTorch's default draw: 0.14 of the gradient is left per layer."""
    stack = [module for _ in range(20) for module in (nn.Linear(64, 64), nn.Sigmoid())]
    return nn.Sequential(*stack, nn.Linear(64, 10))


def torchvision_model(name: str) -> Callable[[], nn.Module]:
    """A builder of a torchvision model at its own random initialization."""

    def build() -> nn.Module:
        import torchvision

        return torchvision.models.get_model(name, weights=None)

    return build


IMAGE = (1, 3, 224, 224)
RESNET18 = Host("resnet18", torchvision_model("resnet18"), IMAGE, "layer2.0.conv1")
VGG11 = Host("vgg11", torchvision_model("vgg11"), IMAGE, "features.6")
VIT = Host("vit_b_16", torchvision_model("vit_b_16"), IMAGE, "encoder.layers.encoder_layer_5.mlp.0")
MLP = Host("mlp", he_mlp, (4, 64), "4")
WIDE_MLP = Host("wide_mlp", wide_mlp, (4, 64), "2")
VGG11_HEAD = Host("vgg11", torchvision_model("vgg11"), IMAGE, "classifier.0")
HOSTS = (RESNET18, VGG11, VIT, MLP, WIDE_MLP)


@torch.no_grad()
def plant(model: nn.Module, layer: str, fault: str) -> None:
    """Break `layer` of the model in place."""
    module = model.get_submodule(layer) if layer else model
    WHOLE[fault](model) if fault in WHOLE else FAULTS[fault](module)


def _scaled(factor: float) -> Callable[[nn.Module], None]:
    return lambda module: module.weight.mul_(factor)


def _duplicate(share: float) -> Callable[[nn.Module], None]:
    def break_it(module: nn.Module) -> None:
        rows = module.weight.shape[0]
        last = rows - 1 if share == 1.0 else int(rows * share)
        module.weight[1 : last + 1] = module.weight[:1]

    return break_it


def _nan(module: nn.Module) -> None:
    module.weight.view(-1)[7] = float("nan")


def _fan_out(module: nn.Module) -> None:
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _small_everywhere(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


FAULTS: dict[str, Callable[[nn.Module], None]] = {
    "x10": _scaled(10.0),
    "x0.1": _scaled(0.1),
    "zeroed": lambda module: module.weight.zero_(),
    "constant": lambda module: module.weight.fill_(0.05),
    "identical-filters": _duplicate(1.0),
    "duplicated-filters": _duplicate(0.25),
    "nan": _nan,
    "fan_out-for-fan_in": _fan_out,
}
WHOLE: dict[str, Callable[[nn.Module], None]] = {"small-everywhere": _small_everywhere}

_EVERYWHERE = {
    "constant": ("IA004", "warning"),
    "identical-filters": ("IA005", "warning"),
    "duplicated-filters": ("IA006", "warning"),
    "nan": ("IA001", "error"),
}


def _cases(host: Host, **own: tuple[str, str]) -> Sequence[Case]:
    named = {name.replace("_x", "x"): expected for name, expected in own.items()}
    return [Case(host, fault, rule, severity) for fault, (rule, severity) in (_EVERYWHERE | named).items()]


# A layer in front of a norm is harmless forward (IA116); one in a residual branch is judged by its peers (IA117);
# a zero in front of ReLU never wakes up (IA002), one in front of GELU does (IA003).
CASES: tuple[Case, ...] = (
    *_cases(RESNET18, **{"x10": ("IA116", "warning"), "x0.1": ("IA116", "warning"), "zeroed": ("IA002", "error")}),
    *_cases(VGG11, **{"x10": ("IA102", "warning"), "x0.1": ("IA101", "warning"), "zeroed": ("IA002", "error")}),
    *_cases(VIT, **{"x10": ("IA117", "warning"), "x0.1": ("IA117", "warning"), "zeroed": ("IA003", "warning")}),
    *_cases(MLP, **{"x10": ("IA102", "warning"), "x0.1": ("IA101", "warning"), "zeroed": ("IA002", "error")}),
    Case(WIDE_MLP, "fan_out-for-fan_in", "IA108", "warning"),
    Case(VGG11_HEAD, "fan_out-for-fan_in", "IA108", "warning"),
    Case(VGG11, "small-everywhere", "IA103", "error"),
    Case(MLP, "small-everywhere", "IA103", "error"),
)
