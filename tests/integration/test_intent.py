"""Starts that look odd and are meant: none is an error, none is warned of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from tests.integration.faults import he_mlp
from tests.integration.judging import check, named

WIDTH = 64


class Branch(nn.Module):
    """x + scale * MLP(norm(x)), with each part of the start open to choice."""

    def __init__(self, *, norm: bool = True, scale: float | None = None, end: Callable | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        nn.init.kaiming_normal_(self.up.weight)
        if end is not None:
            end(self.down.weight)
            nn.init.zeros_(self.down.bias)
        self.scale = None if scale is None else nn.Parameter(torch.full((WIDTH if norm else 1,), scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.down(torch.relu(self.up(self.norm(x))))
        return x + (y if self.scale is None else self.scale * y)


class AdaptiveNorm(nn.Module):
    """A block of a diffusion transformer: scale, shift and gate come from a condition through a zero layer."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(16, 3 * WIDTH))
        nn.init.zeros_(self.condition[1].weight)
        nn.init.zeros_(self.condition[1].bias)
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.condition(c).chunk(3, -1)
        y = self.norm(x) * (1 + scale) + shift
        return x + gate * self.down(nn.functional.gelu(self.up(y)))


class Diffusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList([AdaptiveNorm() for _ in range(3)])
        self.head = nn.Linear(WIDTH, WIDTH)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c = x[:, :16]
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, c)
        return self.head(x)


class Adapted(nn.Module):
    """A frozen layer with a low-rank update whose B is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.lora_a, self.lora_b = nn.Linear(WIDTH, 8, bias=False), nn.Linear(8, WIDTH, bias=False)
        nn.init.zeros_(self.lora_b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.lora_b(self.lora_a(x))


def zero_head() -> nn.Module:
    model = he_mlp(4)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


def prior_bias() -> nn.Module:
    model = he_mlp(4)
    nn.init.normal_(model[-1].weight, std=0.01)
    nn.init.constant_(model[-1].bias, -4.59512)
    return model


def class_prior() -> nn.Module:
    model = he_mlp(4)
    with torch.no_grad():
        model[-1].bias.copy_(torch.linspace(0.001, 0.2, 10).log())
    return model


def frozen_blur() -> nn.Module:
    blur = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    nn.init.constant_(blur.weight, 1 / 9)
    blur.requires_grad_(False)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), blur, nn.Conv2d(8, 4, 1))


def identity_start() -> nn.Module:
    model = he_mlp(4)
    for layer in list(model)[:-1:2]:
        nn.init.eye_(layer.weight)
    return model


def stacked(**parts) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*[Branch(**parts) for _ in range(6)], nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))


STARTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "zero head": (zero_head, (4, WIDTH)),
    "focal prior": (prior_bias, (4, WIDTH)),
    "class prior": (class_prior, (4, WIDTH)),
    "zero branch ends": (stacked(norm=False, end=nn.init.zeros_), (4, WIDTH)),
    "zero branch ends behind norms": (stacked(end=nn.init.zeros_), (4, WIDTH)),
    "ReZero": (stacked(norm=False, scale=0.0), (4, WIDTH)),
    "LayerScale": (stacked(scale=1e-5), (4, WIDTH)),
    "adaLN-zero": (Diffusion, (4, WIDTH)),
    "LoRA": (lambda: nn.Sequential(Adapted(), nn.ReLU(), Adapted(), nn.ReLU(), nn.Linear(WIDTH, 10)), (4, WIDTH)),
    "frozen blur": (frozen_blur, (1, 3, 16, 16)),
    "identity": (identity_start, (4, WIDTH)),
    "zero last norms": (lambda: torchvision.models.resnet18(zero_init_residual=True), (1, 3, 64, 64)),
}


@pytest.mark.parametrize("name", STARTS)
def test_an_intended_start_raises_neither_error_nor_warning(name: str) -> None:
    build, shape = STARTS[name]
    torch.manual_seed(0)
    report = check(build(), shape)
    assert report.coverage.parameters > 0.99
    assert named(report, "error", "warning") == set()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_a_trained_network_is_not_judged_by_its_draw(activation: type[nn.Module]) -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32), torch.tensor(labels)
    x = (x - x.mean()) / x.std()
    torch.manual_seed(0)
    model = he_mlp(4, activation=activation)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(300):
        batch = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5
    assert named(check(model, (4, 64)), "error", "warning") == set()
