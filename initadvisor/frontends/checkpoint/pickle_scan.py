"""What a pickle names, read from its opcodes without executing any: an early answer, not the gate.

torch's `weights_only` decides what may be built. But importing torch takes seconds and hundreds of megabytes, which a
hostile or damaged file shall not cost: a pickle that names what no state dict needs is refused before.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator

from initadvisor.errors import FormatError, first_line

MAX_OPCODES = 2_000_000
"""Opcodes that are looked at; a state dict has about 60 a tensor. What lies beyond is left to torch."""

PICKLES = 5
"""Pickles at the head of an old-style file: magic, version, system, the object, storage keys. Raw tensors follow."""

_PLAIN_BUILTINS = frozenset(
    {
        "set",
        "frozenset",
        "list",
        "dict",
        "tuple",
        "int",
        "float",
        "bool",
        "complex",
        "bytes",
        "bytearray",
        "str",
        "slice",
    }
)
_ROOTS = frozenset({"torch", "collections", "numpy", "_codecs", "pathlib", "datetime", "argparse", "omegaconf"})
_MODULE_CLASSES = ("torch.nn.modules", "torch.fx", "torch.jit", "torch.hub", "torch.utils", "torch._dynamo")

_STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})


def forbidden(data: bytes) -> str | None:
    """The first name that no state dict needs, as "module.name", or None.

    data: one pickle or several behind each other. Raises FormatError where the first is no pickle or breaks off.
    """
    stream = io.BytesIO(data)
    for index in range(PICKLES):
        try:
            for name in _names(stream):
                if _is_forbidden(name):
                    return name
        except (ValueError, KeyError, IndexError, EOFError, OverflowError, UnicodeDecodeError) as error:
            if index:
                return None
            raise FormatError(f"the pickle is damaged or breaks off: {first_line(error, 120)}") from None
        if stream.tell() >= len(data):
            return None
    return None


def _names(stream: io.BytesIO) -> Iterator[str]:
    """The globals of one pickle, as "module.name"; its end is found, its strings are followed through the memo."""
    recent: list[str] = []
    memo: dict[int, str] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MAX_OPCODES:
            return
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif name == "STACK_GLOBAL":
            yield ".".join(recent[-2:])
        elif name in _STRINGS:
            recent = [*recent[-1:], str(argument)]
        elif name == "MEMOIZE" and recent:
            memo[len(memo)] = recent[-1]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT") and recent:
            memo[int(str(argument))] = recent[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET") and int(str(argument)) in memo:
            recent = [*recent[-1:], memo[int(str(argument))]]


def _is_forbidden(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if module in ("builtins", "__builtin__"):
        return last not in _PLAIN_BUILTINS
    if name.startswith(_MODULE_CLASSES):
        return True
    return bool(module) and module.partition(".")[0] not in _ROOTS
