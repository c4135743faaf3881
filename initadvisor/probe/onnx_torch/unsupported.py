"""The operators of the standard that cannot be run as torch operators, and why: the one table of what is missing."""

from __future__ import annotations

_TEXT = "it works on text"
_IMAGES = "it decodes compressed images"

UNSUPPORTED: dict[str, str] = {
    "ImageDecoder": _IMAGES,
    "MelWeightMatrix": "it makes a constant, which exporters fold",
    "RegexFullMatch": _TEXT,
    "StringConcat": _TEXT,
    "StringNormalizer": _TEXT,
    "StringSplit": _TEXT,
    "TfIdfVectorizer": _TEXT,
}
"""Operator type -> why it is not run."""


def reason(spelling: str) -> str:
    """Why an operator is not run."""
    known = UNSUPPORTED.get(spelling)
    if known is not None:
        return f"this operator cannot be run: {known}"
    if "::" in spelling:
        return "this operator of a domain outside the standard has no definition here or in the model"
    return "this operator has no torch form here"
