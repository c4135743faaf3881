"""Answers to questions that only real numbers could answer: guessed, written down, and open to revision.

A branch on a tensor's value is False unless it asks whether everything is in order (`all`, `isfinite`, `equal`); a
number is 1. The same question asked over and over (a loop that waits for convergence) gets the other answer in the
end. A pass that failed after a guess can be run again with one answer turned round.
"""

from __future__ import annotations

import linecache
from collections import Counter
from typing import Any

import torch

_PATIENCE = 16
"""Times that one place in the code gets the same answer before it gets the other one."""

_AFFIRMED = frozenset({"all", "isfinite", "equal", "allclose", "isclose", "isreal", "_is_all_true"})


def _claimed(where: str | None) -> bool | None:
    """What the source line claims of the value: `assert x` that it is true, `assert not x` that it is not."""
    file, _, line = (where or "").rpartition(":")
    text = linecache.getline(file, int(line)).strip() if file and line.isdigit() else ""
    if not text.startswith("assert ") or (" not " in text and (" and " in text or " or " in text)):
        return None
    return not text.startswith(("assert not ", "assert (not "))


class Guesses:
    """The answers of one recording. `turned` holds the positions of answers to turn round."""

    def __init__(self, turned: frozenset[int] = frozenset()) -> None:
        self.turned = turned
        self.asked = 0
        self.given = False
        self._times: Counter[str] = Counter()

    def truth(self, native: str, where: str | None) -> bool:
        """The answer to `bool(tensor)`, for a tensor that the operator `native` made."""
        self.given = True
        claimed = _claimed(where)
        answer = native.rpartition(".")[2] in _AFFIRMED if claimed is None else claimed
        if self.asked in self.turned:
            answer = not answer
        self.asked += 1
        if claimed is not None:
            return answer
        self._times[where or ""] += 1
        return answer if self._times[where or ""] <= _PATIENCE else not answer

    def number(self, tensor: torch.Tensor, kind: type) -> Any:
        """The answer to `item()`, `int()`, `float()`: one, in the tensor's own type or in `kind`."""
        self.given = True
        if kind is object:
            kind = (
                bool
                if tensor.dtype == torch.bool
                else complex
                if tensor.is_complex()
                else float
                if tensor.is_floating_point()
                else int
            )
        return kind(1)
