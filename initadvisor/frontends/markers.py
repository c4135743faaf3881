"""`initadvisor.suppress`: a mark on a module that says that a finding is meant, and why."""

from __future__ import annotations

import datetime
import glob
from collections.abc import Iterator
from typing import Any

from initadvisor.errors import UsageError
from initadvisor.graph import Marker

ATTRIBUTE = "_initadvisor_suppress"
"""A plain tuple on the module: copies and pickles keep it, and a state dict knows nothing of it."""


def suppress(module: Any, *rules: str, reason: str, expires: datetime.date | str | None = None) -> Any:
    """Accept findings of a torch module and of everything inside it; returns the module.

    rules: by id, prefix, name or category; none for all. reason: why, for whoever reads the report, which lists what
    was suppressed. expires: the last day on which it holds, a date or ISO text.

        self.head = initadvisor.suppress(nn.Linear(512, 1000), "IA103", reason="starts at the class prior")

    Raises UsageError where the reason is missing or something is not of the right kind.
    """
    if not callable(getattr(module, "named_modules", None)):
        raise UsageError(f"cannot mark an object of type {type(module).__name__}", hint="pass a torch.nn.Module")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError("a suppression needs a reason", hint='such as reason="starts at the class prior"')
    if not all(isinstance(rule, str) and rule for rule in rules):
        raise UsageError(f"rules are named by texts, not {rules!r}", hint='such as "IA103" or "variance"')
    from initadvisor.frontends.torch_module.wrappers import unwrap

    held = unwrap(module)
    marks = (*getattr(held, ATTRIBUTE, ()), (tuple(rules), reason, _day(expires)))
    try:
        setattr(held, ATTRIBUTE, marks)
    except Exception as error:  # scripted modules take no attributes
        raise UsageError(f"a {type(held).__name__} cannot be marked: {error}") from error
    return module


def markers_of(module: Any) -> Iterator[Marker]:
    """The marks on a torch module and on the modules inside it."""
    for path, part in module.named_modules():
        for rules, reason, expires in _marks(part):
            origin = f"a mark on {path or 'the model'}"
            yield Marker(_inside(path), reason, rules, expires, origin, from_code=True)


def _inside(path: str) -> tuple[str, ...]:
    """Globs for a module and what is in it; a module's own name may hold characters that globs read otherwise."""
    name = glob.escape(path)
    return (name, f"{name}.*") if path else ("*",)


def _marks(part: Any) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    marks = vars(part).get(ATTRIBUTE, ())
    for mark in marks if isinstance(marks, tuple) else ():
        if isinstance(mark, tuple) and len(mark) == 3:
            yield mark


def _day(expires: datetime.date | str | None) -> str | None:
    if expires is None:
        return None
    try:
        day = expires if isinstance(expires, datetime.date) else datetime.date.fromisoformat(expires)
    except (TypeError, ValueError) as error:
        raise UsageError(f"expires is a date such as 2027-01-31, not {expires!r}") from error
    return day.isoformat()[:10]
