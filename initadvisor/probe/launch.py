"""The process group of a command that torchrun started in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from initadvisor.errors import UsageError

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched() -> bool:
    """Whether this process is one of a group that torchrun started."""
    return all(os.environ.get(name) for name in _VARIABLES)


@contextmanager
def process_group() -> Iterator[int]:
    """Join the group that torchrun's environment tells of, over nccl where there is CUDA, else gloo; gives the rank.

    Raises UsageError where the group cannot be joined.
    """
    if not dist.is_available():
        raise UsageError("this torch cannot run in several processes", hint="start the command without torchrun")
    own = not dist.is_initialized()
    if own:
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        try:
            dist.init_process_group("nccl" if cuda and dist.is_nccl_available() else "gloo")
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"cannot join the process group: {str(error).splitlines()[0]}") from error
    try:
        yield dist.get_rank()
    finally:
        if own and dist.is_initialized():
            dist.destroy_process_group()
