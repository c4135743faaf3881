"""Ways to draw the weights of a network that need no rival: one-liners that people write, and `initadvisor`'s."""

from __future__ import annotations

from collections.abc import Callable

import torch
from peers_cases import Case
from torch import nn


def _drawn(draw: Callable[[nn.Module], object]) -> Callable[[nn.Module, Case], None]:
    def apply(module: nn.Module, case: Case) -> None:
        torch.manual_seed(1)
        with torch.no_grad():
            module.apply(draw)

    return apply


def _each(weight: Callable[[torch.Tensor], object]) -> Callable[[nn.Module, Case], None]:
    """A line for every matrix and kernel, and zero biases: what people write by hand."""

    def draw(module: nn.Module) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                weight(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)

    return _drawn(draw)


def _reset(module: nn.Module) -> None:
    for name in ("reset_parameters", "_reset_parameters"):
        if hasattr(module, name):
            getattr(module, name)()


def _fix(module: nn.Module, case: Case) -> None:
    import initadvisor

    x, _ = next(case.batches(1))
    initadvisor.apply(module, initadvisor.advise(module, example=x[:8]))


BASELINES: dict[str, Callable[[nn.Module, Case], None]] = {
    "as it is": lambda module, case: None,
    "PyTorch default": _drawn(_reset),
    "timm default": _each(lambda w: nn.init.trunc_normal_(w, std=0.02)),
    "He": _each(nn.init.kaiming_normal_),
    "orthogonal": _each(lambda w: nn.init.orthogonal_(w, 2**0.5)),
    "initadvisor fix": _fix,
}
