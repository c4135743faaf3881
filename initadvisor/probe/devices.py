"""The device that a probe runs on, and the number type that its forward pass computes in."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from initadvisor.errors import UsageError
from initadvisor.probe.settings import Precision

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose(wanted: str, module: torch.nn.Module, stay: bool = False) -> torch.device:
    """The device for a model: the one asked for; for "auto" where it lies, or from the CPU the accelerator at hand.

    stay: do not move it, since the caller's optimizer or loss holds tensors beside it.
    Raises UsageError for a device that is not there.
    """
    here = next((t.device for t in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    if wanted == "auto":
        if here.type != "cpu" or stay:
            return here
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps") if torch.backends.mps.is_available() else here
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"cannot run on the device {wanted!r}: {line}", hint='"auto" takes what is there') from error
    if device.type == "meta":
        raise UsageError("a probe needs numbers, and the meta device has none", hint='run on "cpu" or "cuda"')
    return device


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """The context of the forward pass and the loss."""
    if precision == "float32":
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[Any] = torch.autocast(device.type, dtype=_TYPES[precision])
    return context


def scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler | None:
    """A gradient scaler for fp16, whose small gradients would be lost; None for the other types."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a device or of the host, ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def free_cache(device: torch.device) -> None:
    """Give cached blocks back, so that a smaller try has all that there is."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
