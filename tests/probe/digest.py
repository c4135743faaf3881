"""A hash of everything that a probe must leave as it was."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import UninitializedTensorMixin


def _bytes(tensor: torch.Tensor | None) -> bytes:
    if tensor is None or isinstance(tensor, UninitializedTensorMixin):
        return repr(type(tensor)).encode()
    flat = tensor.detach().cpu().contiguous()
    return (
        f"{tensor.dtype}{tuple(tensor.shape)}{tensor.device}".encode()
        + flat.reshape(-1).view(torch.uint8).numpy().tobytes()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return _bytes(value)
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, dict):
        return [(repr(k) if not isinstance(k, torch.Tensor) else id(k), _plain(v)) for k, v in value.items()]
    if isinstance(value, list | tuple | set):
        return [_plain(v) for v in value]
    return repr(value) if isinstance(value, int | float | str | bool | type(None)) else id(value)


def digest(module: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> str:
    """Weights, buffers, where they lie, gradients, flags, modes, attributes, hooks, optimizer, generators, settings."""
    found: list[Any] = []
    for name, part in module.named_modules():
        found.append((name, type(part).__name__, [(k, _plain(v)) for k, v in vars(part).items()]))
    for name, parameter in module.named_parameters():
        place = 0 if isinstance(parameter, UninitializedTensorMixin) else parameter.data_ptr()
        found.append((name, id(parameter), place, parameter.requires_grad, id(parameter.grad), _bytes(parameter.grad)))
    if optimizer is not None:
        found.append([(k, _plain(v)) for k, v in vars(optimizer).items() if not k.startswith("_")])
    state = np.random.get_state()
    found += [random.getstate(), str(state[0]), state[1].tobytes(), state[2:], torch.get_rng_state().numpy().tobytes()]  # type: ignore[index,union-attr]
    cudnn = torch.backends.cudnn
    found += [cudnn.enabled, cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()]
    found += [
        torch.is_grad_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_default_dtype(),
        torch.is_autocast_enabled("cpu"),
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()
