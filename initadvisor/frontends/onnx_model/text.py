"""Strings of a model file: protobuf hands over bytes where they are not UTF-8, and a name may be endless."""

from __future__ import annotations

from initadvisor.errors import FormatError, LimitError

_SHOWN = 80
_LONGEST = 16_384
"""Characters of the longest name that is read; names that hold a whole call have some hundred."""


def text(value: str | bytes) -> str:
    """A name; raises FormatError where it is not UTF-8, LimitError where it is too long to be one."""
    if len(value) > _LONGEST:
        raise LimitError(f"the model holds a name of {len(value):,} characters: {shown(value)}")
    return value if isinstance(value, str) else _decoded(value)


def long_text(value: str | bytes) -> str:
    """A string of any length; raises FormatError where it is not UTF-8."""
    return value if isinstance(value, str) else _decoded(value)


def shown(value: str | bytes) -> str:
    """A string from a model as a message may carry it: quoted, on one line, not too long."""
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        reason = f"the model holds a name that is not UTF-8: {shown(value)}"
        raise FormatError(reason, hint="the file is damaged") from None
