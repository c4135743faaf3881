"""The networks of `peers.py`: nine that are known from other people's bug reports, and a fixed part of the generator's.

Imports nothing of initadvisor, so that the rivals' environment can build them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from trainability import cases as generated
from trainability import data as generated_data

Batch = tuple[torch.Tensor, torch.Tensor]

PER_FAMILY = 3
"""Generated cases taken of each family's test part."""


@dataclass(frozen=True)
class Case:
    """A network, data, an optimizer.

    healthy: what is known of it by construction, None where training on digits tells. note: what is special.
    """

    name: str
    build: Callable[[], nn.Module]
    draw: Callable[[int], Batch]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy
    rate: float = 0.01
    healthy: bool | None = None
    generated: Any = None
    note: str = ""

    def batches(self, count: int) -> Iterator[Batch]:
        """So many batches, always the same ones."""
        for index in range(count):
            yield self.draw(index)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """SGD with momentum."""
        return torch.optim.SGD(parameters, self.rate, momentum=0.9)


def _noise(classes: int, size: int, count: int = 4) -> Callable[[int], Batch]:
    """Standard normal images and drawn labels."""

    def draw(index: int) -> Batch:
        generator = torch.Generator().manual_seed(index)
        x = torch.randn(count, 3, size, size, generator=generator)
        return x, torch.randint(0, classes, (count,), generator=generator)

    return draw


def _digits(index: int) -> Batch:
    """64 of scikit-learn's digits, standardised."""
    found = generated_data.load("digits")
    generator = torch.Generator().manual_seed(index)
    chosen = torch.randperm(len(found.inputs), generator=generator)[:64]
    return found.inputs[chosen], found.targets[chosen]


def _mlp(depth: int, activation: type[nn.Module], change: Callable[[nn.Linear], object]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(64 if i == 0 else 100, 100), activation()]
    model = nn.Sequential(*layers, nn.Linear(100, 10))
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                change(layer)
    return model


def _xavier(layer: nn.Linear) -> None:
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _vision(name: str, change: Callable[[nn.Module], object] = lambda m: None) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import torchvision

        model: nn.Module = torchvision.models.get_model(name, weights=None)
        with torch.no_grad():
            model.apply(change)
        return model

    return build


def _small(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Rows(nn.Module):
    """A digit's rows as tokens through a stack of encoder layers, one of whose matrices is ten times too large."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.encoder.layers[2].linear1.weight.mul_(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x.unflatten(1, (8, 8)))).mean(1))


def _mixed_convolutions() -> nn.Module:
    """Depthwise, pointwise and transposed convolutions at PyTorch's defaults."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU()]
    layers += [nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]
    return nn.Sequential(*layers)


def _keep(layer: nn.Linear) -> None:
    """PyTorch's default draw."""


NINE = [
    Case("resnet50", _vision("resnet50"), _noise(1000, 64), healthy=True),
    Case("vgg16, N(0, .01)", _vision("vgg16", _small), _noise(1000, 64), healthy=False),
    Case("20-layer sigmoid, default", lambda: _mlp(20, nn.Sigmoid, _keep), _digits),
    Case("30-layer ReLU, Xavier", lambda: _mlp(30, nn.ReLU, _xavier), _digits),
    Case("all-zero MLP", lambda: _mlp(4, nn.ReLU, _zero), _digits),
    Case("vit_b_16", _vision("vit_b_16"), _noise(1000, 224, 2), healthy=True, note="its head is zero"),
    Case("resnet18, pretrained load failed", _vision("resnet18"), _noise(1000, 64), healthy=True,
         note="a sound random start: only who expects trained weights can object"),
    Case("encoder stack, one linear x10", Rows, _digits),
    Case("transposed + depthwise conv", _mixed_convolutions, _digits),
]  # fmt: skip


def _generated() -> list[Case]:
    """The first few of each family's test part, with a part of every kind of fault, as the generator numbers them."""
    taken: dict[str, int] = {}
    found = []
    for case in generated.cases():
        if case.part != "test" or taken.get(case.family, 0) >= PER_FAMILY:
            continue
        taken[case.family] = taken.get(case.family, 0) + 1
        found.append(_of(case))
    return found


def _of(case: Any) -> Case:
    return Case(
        case.key,
        lambda: generated.build(case, 0),
        lambda index: generated.batch(case, index),
        generated_data.loss,
        rate=sorted(case.rates)[1],
        generated=case,
    )


CASES: dict[str, Case] = {case.name: case for case in (*NINE, *_generated())}
