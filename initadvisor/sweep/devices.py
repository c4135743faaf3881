"""Which GPU each worker of a pool gets."""

from __future__ import annotations

import os
from collections.abc import Sequence

from initadvisor.errors import MissingExtraError, UsageError


def visible() -> list[str]:
    """GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; raises MissingExtraError without torch."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [name.strip() for name in said.split(",") if name.strip() not in ("", "-1")]
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("finding the GPUs", "torch") from error
    return [str(index) for index in range(torch.cuda.device_count())]


def places(each: float, devices: Sequence[str]) -> list[str]:
    """For every worker that there is room for, what it sees: several GPUs, or one that it shares.

    each: GPUs of a worker; raises UsageError for 1.5 and the like, which cannot be shared out.
    """
    if each <= 0 or (each > 1 and each != int(each)):
        raise UsageError(f"a worker cannot have {each:g} GPUs", hint="give a whole number, or a part of 1 such as 0.5")
    if each < 1:
        return [device for device in devices for _ in range(int(1 / each + 1e-9))]
    size = int(each)
    return [",".join(devices[start : start + size]) for start in range(0, len(devices) - size + 1, size)]
