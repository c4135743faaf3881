"""Einsum equations: the role of each axis of an operand."""

from __future__ import annotations

from typing import Any

from initadvisor.graph import Layout


def operand_layout(equation: Any, operand: int, operands: int, rank: int) -> Layout | None:
    """How operand number `operand` of an einsum is laid out when it is the weight; None for an odd equation.

    An index that the result lacks is summed over (in); one that another operand shares and the result keeps is a
    batch of independent matrices; one that only the weight has and the result keeps is out.
    """
    if not isinstance(equation, str):
        return None
    inputs, _, result = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != operands or operand >= len(terms):
        return None
    if "->" not in equation:
        letters = inputs.replace(",", "").replace(".", "")
        result = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    own = _expand(terms[operand], rank)
    if own is None:
        return None
    others = {c for i, term in enumerate(terms) if i != operand for c in term}
    out, into, batch = [], [], []
    for axis, letter in enumerate(own):
        if letter == ".":
            batch.append(axis)
        elif letter not in result:
            into.append(axis)
        elif letter in others:
            batch.append(axis)
        else:
            out.append(axis)
    return Layout(tuple(out), tuple(into), tuple(batch))


def _expand(term: str, rank: int) -> str | None:
    """The indices of an operand, an ellipsis written as one "." for each axis it stands for."""
    if "..." not in term:
        return term if len(term) == rank else None
    missing = rank - (len(term) - 3)
    return term.replace("...", "." * missing) if missing >= 0 and term.count("...") == 1 else None
