"""What findings lead to in the middle of other people's code: a warning, an error, or a line in the log."""

from __future__ import annotations

import logging
import warnings
from typing import Literal, get_args

from initadvisor.errors import FindingsError, UsageError

OnFinding = Literal["warn", "raise", "log"]
LOGGER = logging.getLogger("initadvisor")


class InitWarning(UserWarning):
    """A model does not start or train well."""


def known_reaction(on_finding: str) -> None:
    """Raise UsageError for a reaction that does not exist."""
    if on_finding not in get_args(OnFinding):
        raise UsageError(f"on_finding is {on_finding!r}", hint=f"it is one of {', '.join(get_args(OnFinding))}")


def react(message: str, on_finding: OnFinding, stacklevel: int = 2) -> None:
    """Warn, raise FindingsError or log what was found; nothing for an empty message."""
    if not message:
        return
    if on_finding == "raise":
        raise FindingsError(message)
    if on_finding == "warn":
        warnings.warn(message, InitWarning, stacklevel=stacklevel + 1)
    else:
        LOGGER.warning("%s", message)
