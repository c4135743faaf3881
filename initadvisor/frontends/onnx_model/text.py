"""Strings of a model file: protobuf hands over bytes where they are not UTF-8, and a name may be endless."""

from __future__ import annotations

from initadvisor.errors import FormatError

_SHOWN = 80


def text(value: str | bytes) -> str:
    """The string; raises FormatError where it is not UTF-8."""
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(
            f"the model holds a name that is not UTF-8: {shown(value)}", hint="the file is damaged"
        ) from None


def shown(value: str | bytes) -> str:
    """A string from a model as a message may carry it: quoted, on one line, not too long."""
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."
