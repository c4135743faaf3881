"""What a worker gives up before it opens a file from a stranger: network, privileges, memory, time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NICENESS = 10
"""Workers give way to the server, so that it answers while they are busy."""


def confine(*, memory: int, cpu: int, written: int, parent: int) -> list[str]:
    """Give up what a check does not need; notes on what this machine would not let go.

    memory: bytes of address space. cpu: seconds. written: bytes of one file. parent: dies, this process dies with it.
    """
    _tie_to(parent)
    os.nice(_NICENESS)
    # Where memory runs out, the kernel ends this process rather than the server.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    notes = [note for note in (_cut_network(),) if note]
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, written, written),
        (resource.RLIMIT_NOFILE, 256, 256),
        (resource.RLIMIT_CPU, cpu, cpu + 5),
        (resource.RLIMIT_AS, memory, memory),
    ):
        try:
            top = resource.getrlimit(kind)[1]
            ceiling = hard if top == resource.RLIM_INFINITY else min(hard, top)
            resource.setrlimit(kind, (min(soft, ceiling), ceiling))
        except (OSError, ValueError) as error:
            notes.append(f"a limit could not be set: {error}")
    return notes


def _tie_to(parent: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before this process could say that it wants to follow
        os._exit(1)


def _cut_network() -> str:
    """Move into a network of its own with nothing in it; why not, or ""."""
    if sys.platform != "linux":
        return f"the network was not cut off: {sys.platform} has no way to do it"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return ""
    return f"the network was not cut off: {os.strerror(ctypes.get_errno())}"
