"""What a worker gives up before it opens a file from a stranger: network, privileges, memory, time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
import tempfile
from collections.abc import Sequence

from initadvisor.service.workers import landlock

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc/self", "/dev/null", "/dev/zero", "/dev/urandom")
"""Where a system keeps what every program reads; nothing of the service is there."""
_NICENESS = 10
"""Workers give way to the server, so that it answers while they are busy."""


def confine(
    *,
    memory: int,
    cpu: int,
    written: int,
    parent: int,
    readable: Sequence[str] | None = None,
    writable: Sequence[str] = (),
) -> list[str]:
    """Give up what a check does not need; notes on what this machine would not let go.

    memory: bytes of address space. cpu: seconds. written: bytes of one file. parent: dies, this process dies with it.
    readable: what may be read besides the system and Python; None leaves all files as they are. writable: folders that
    may be written to, the first of them for temporary files.
    """
    _tie_to(parent)
    os.nice(_NICENESS)
    # Where memory runs out, the kernel ends this process rather than the server.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    notes = [_cut_network()]
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
    if readable is not None:
        os.environ["TMPDIR"], tempfile.tempdir = writable[0], None
        python = {sys.prefix, sys.base_prefix, os.path.realpath(sys.executable), *filter(os.path.isabs, sys.path)}
        notes.append(landlock.shut_out((*_SYSTEM, *sorted(python), *readable), writable))
    notes.append(_drop_capabilities())
    return [note for note in notes if note]


def _tie_to(parent: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before this process could say that it wants to follow
        os._exit(1)


def _drop_capabilities() -> str:
    """Be an ordinary user, whoever this process runs as; why not, or "". "No new privileges" keeps it one."""
    if sys.platform != "linux":
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)) == 0:
        return ""
    return f"privileges were not given up: {os.strerror(ctypes.get_errno())}"


def _cut_network() -> str:
    """Move into a network of its own with nothing in it; why not, or ""."""
    if sys.platform != "linux":
        return f"the network was not cut off: {sys.platform} has no way to do it"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return ""
    return f"the network was not cut off: {os.strerror(ctypes.get_errno())}"
