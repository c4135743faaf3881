"""Which part of its input a classifier's answer rests on, by layer: gradient times input, or LRP (captum)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from initadvisor.errors import MissingExtraError, UsageError

Method = Literal["gradient", "lrp"]
_RESHAPING = (nn.Flatten, nn.Unflatten, nn.Identity)
_BENDING = (
    nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.ReLU6, nn.Hardswish, nn.Hardtanh, nn.Softplus
)  # fmt: skip
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True, slots=True)
class RelevanceMap:
    """Relevance of each place, summed over channels: (samples, height, width), signed. layer "" is the input."""

    layer: str
    values: np.ndarray

    def share(self, mask: np.ndarray) -> float:
        """Share of the absolute relevance inside a mask (samples, height, width) of 0 to 1, averaged over samples.

        NaN where no sample has any relevance.
        """
        weight = np.abs(self.values)
        total = weight.sum((1, 2))
        known = total > 0
        inside = (weight * fitted(mask, self.values.shape[1:])).sum((1, 2))
        return float((inside[known] / total[known]).mean()) if known.any() else float("nan")


def relevance(
    model: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor | None = None,
    *,
    method: Method = "gradient",
    layers: Sequence[str] | None = None,
    most: int = 6,
) -> tuple[torch.Tensor, list[RelevanceMap]]:
    """(the classes asked about, the maps of the input and of convolution layers in order) for a batch of images.

    gradient: x * d logit / dx, at a layer its output times the gradient there (Shrikumar et al. 2016, arXiv
    1605.01713). lrp: the logit handed back in proportion to what each input contributed (Bach et al. 2015,
    10.1371/journal.pone.0130140), by captum's rule of each layer type. Works on a copy of the model, in eval mode.
    targets: class of each sample, by default the one with the largest logit. layers: by name, else up to `most` of the
    convolutions, evenly spaced.

    Raises UsageError for what are no images or no logits of classes, and for layers that LRP has no rule for.
    """
    attr = _captum()
    if inputs.ndim != 4 or not inputs.is_floating_point() or not len(inputs):
        raise UsageError(
            f"relevance maps are drawn of a batch of images, not of {inputs.dtype} of shape {tuple(inputs.shape)}",
            hint="give floats of shape (samples, channels, height, width)",
        )
    own = _copied(model)
    device = next((p.device for p in own.parameters()), inputs.device)
    x = inputs.detach().to(device)
    with torch.no_grad():
        logits = own(x)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(x):
        raise UsageError("the model does not put out one row of logits a sample", hint="wrap it so that it does")
    asked = logits.argmax(1) if targets is None else targets.to(device).long()
    if asked.shape != (len(x),) or bool((asked < 0).any()) or bool((asked >= logits.shape[1]).any()):
        raise UsageError(f"the targets are no class numbers below {logits.shape[1]}, one a sample")
    modules = _layers(own, x, layers, most)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum says that it sets requires_grad, and that hooks are removed
            maps = [_map("", _of_input(attr, method, own, x, asked))]
            maps += [_map(name, _of_layer(attr, method, own, module, x, asked)) for name, module in modules]
    except (TypeError, RuntimeError, AssertionError, AttributeError) as error:
        raise UsageError(
            f"no {method} relevance of this model: {error}",
            hint='method="gradient" takes any differentiable model' if method == "lrp" else "is it differentiable?",
        ) from error
    return asked.cpu(), maps


def fitted(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A mask at another resolution: each cell holds the share of it that is inside."""
    grid = torch.from_numpy(np.array(mask, np.float64))[:, None]
    found: np.ndarray = nn.functional.adaptive_avg_pool2d(grid, tuple(size))[:, 0].numpy()
    return found


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError as error:
        raise MissingExtraError("drawing relevance maps", "attribution") from error
    return attr


def _copied(model: nn.Module) -> nn.Module:
    try:
        own = copy.deepcopy(model)
    except Exception as error:
        raise UsageError(f"{type(model).__name__} cannot be copied: {error}", hint="give a module that can") from error
    for child in own.modules():
        if getattr(child, "inplace", False):
            child.inplace = False  # type: ignore[assignment]  # relevance needs what was there before
    return own.eval()


def _pass_through(model: nn.Module) -> None:
    """Let relevance pass unchanged where values only change place or are bent one by one, as LRP has it."""
    from captum.attr._utils.lrp_rules import EpsilonRule, IdentityRule

    for module in model.modules():
        if isinstance(module, _RESHAPING):
            module.rule = EpsilonRule()  # type: ignore[assignment]
        elif isinstance(module, _BENDING):
            module.rule = IdentityRule()  # type: ignore[assignment]


def _layers(model: nn.Module, x: torch.Tensor, names: Sequence[str] | None, most: int) -> list[tuple[str, nn.Module]]:
    known = dict(model.named_modules())
    if names is not None:
        unknown = [name for name in names if name not in known or not name]
        if unknown:
            raise UsageError(f"the model has no layer {unknown[0]!r}", hint="name some of named_modules()")
        return [(name, known[name]) for name in names]
    order: dict[str, nn.Module] = {}

    def seen(name: str, module: nn.Module) -> Any:
        def hook(*_: Any) -> None:
            order.setdefault(name, module)

        return hook

    handles = [m.register_forward_hook(seen(n, m)) for n, m in known.items() if isinstance(m, _CONVOLUTIONS)]
    try:
        with torch.no_grad():
            model(x[:1])
    finally:
        for handle in handles:
            handle.remove()
    found = list(order.items())
    if len(found) <= most:
        return found
    return [found[round(k * (len(found) - 1) / (most - 1))] for k in range(most)] if most > 1 else found[:most]


def _of_input(attr: Any, method: str, model: nn.Module, x: torch.Tensor, asked: torch.Tensor) -> Any:
    if method == "lrp":
        _pass_through(model)  # each time: captum takes all rules off afterwards
        return attr.LRP(model).attribute(x.clone().requires_grad_(), target=asked)
    return attr.InputXGradient(model).attribute(x.clone().requires_grad_(), target=asked)


def _of_layer(attr: Any, method: str, model: nn.Module, layer: nn.Module, x: torch.Tensor, asked: torch.Tensor) -> Any:
    if method == "lrp":
        _pass_through(model)
        return attr.LayerLRP(model, layer).attribute(x.clone().requires_grad_(), target=asked)
    return attr.LayerGradientXActivation(model, layer).attribute(x.clone().requires_grad_(), target=asked)


def _map(name: str, found: Any) -> RelevanceMap:
    tensor = found[0] if isinstance(found, tuple | list) else found
    if tensor.ndim != 4:
        raise UsageError(f"layer {name!r} has no image at its output", hint="name convolution layers")
    values = tensor.detach().double().sum(1).cpu().numpy()
    return RelevanceMap(name, np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))
