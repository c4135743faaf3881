"""The measured side: one draw of a model run forward and back, its layers' variances and gradients kept on disk."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from models import Case
from torch import nn

STORE = Path(__file__).parents[2] / "build" / "signal-measurements"
"""Measurements outlive a change of the predictions, which are cheap."""

Measured = dict[str, Any]


def measured(case: Case, seed: int = 0) -> Measured:
    """Variances of the outputs of leaf modules by "scope#call", and mean squares of parameter gradients.

    N(0, 1) inputs, independent N(0, 1) gradients at the outputs, training mode without dropout.
    """
    path = STORE / f"{case.name.replace(':', '_')}.{seed}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    found = run(drawn(case, seed), case)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def drawn(case: Case, seed: int) -> nn.Module:
    """A draw of the model in training mode without dropout: its noise is not what is predicted."""
    torch.manual_seed(seed)
    module = case.make()
    module.train()
    for child in module.modules():
        if isinstance(child, (nn.Dropout, torchvision.ops.StochasticDepth)):
            child.p = 0.0
        if isinstance(child, nn.MultiheadAttention):
            child.dropout = 0.0
        if hasattr(child, "inplace"):
            child.inplace = False
    return module


def run(module: nn.Module, case: Case) -> Measured:
    """One forward and backward pass."""
    start = time.perf_counter()
    outputs: dict[str, float] = {}
    calls: dict[str, int] = defaultdict(int)

    def hook(name: str) -> Callable[..., None]:
        def keep(_: nn.Module, __: object, out: object) -> None:
            first = out[0] if isinstance(out, tuple) else out
            if isinstance(first, torch.Tensor) and first.is_floating_point():
                outputs[f"{name}#{calls[name]}"] = float(first.detach().double().var(correction=0))
            calls[name] += 1

        return keep

    handles = [
        child.register_forward_hook(hook(name)) for name, child in module.named_modules() if not list(child.children())
    ]
    result = module(*case.inputs)
    for attribute in ("logits", "output"):
        result = getattr(result, attribute, result)
    torch.manual_seed(2)
    result.backward(torch.randn_like(result))
    for handle in handles:
        handle.remove()
    gradients = {
        name: float(parameter.grad.double().square().mean())
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    return {"outputs": outputs, "gradients": gradients, "seconds": round(time.perf_counter() - start, 2)}
