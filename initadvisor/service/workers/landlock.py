"""Shutting a process out of files, by Landlock (Linux 5.13 and later): what is not listed can no longer be opened."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_ONLY, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_ALL_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every access to files that a version of the interface knows."""
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11
"""Binding and connecting TCP; signals to other processes and abstract sockets of theirs."""


def version() -> int:
    """The version of the kernel's interface, 0 where it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION_ONLY))


def shut_out(readable: Sequence[str], writable: Sequence[str]) -> str:
    """Keep this process and all that it starts from every file but those beneath these; why it could not be, or "".

    readable: files and folders to read and run. writable: folders to do anything in. Processes of others, their memory
    and their environment are out of reach too, and so is TCP, as far as the kernel knows how. Needs "no new
    privileges" to be set. What is open stays open.
    """
    known = version()
    if not known:
        return "files were not shut off: this machine has no Landlock"
    files = _ALL_FILES[max(each for each in _ALL_FILES if each <= known)]
    handled = struct.pack("QQQ", files, _ALL_TCP, _ALL_SCOPES)[: 24 if known >= 6 else 16 if known >= 4 else 8]
    rules = _call(_CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return f"files were not shut off: {os.strerror(ctypes.get_errno())}"
    try:
        for paths, access in ((readable, _EXECUTE | _READ_FILE | _READ_DIR), (writable, files)):
            for path in paths:
                _allow(rules, path, access)
        if _call(_RESTRICT_SELF, rules, 0) < 0:
            return f"files were not shut off: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(rules)
    return ""


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        mine = access if os.path.isdir(path) else access & _OF_A_FILE
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", mine, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    given = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return int(libc.syscall(ctypes.c_long(number), *given))
