"""`measure`: a field of a fact model, with its description, its unit and where it comes from."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def measure(description: str, unit: str = "", *, source: str = "") -> Any:
    """Declare a fact that is None until it is known.

    unit: of the number ("elements", "1", "weight" for the units of the weight itself); empty for text and flags.
    source: the paper or formula behind it, where there is one.
    """
    extra: dict[str, Any] = {key: text for key, text in (("unit", unit), ("source", source)) if text}
    return Field(default=None, description=description, json_schema_extra=extra)
