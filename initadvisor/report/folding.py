"""One entry for many alike: names that differ in a number, and messages that differ in their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from initadvisor.report.phrases import Say, english
from initadvisor.rules.finding import Finding

MIN_FOLD = 3
"""Names from which on a pattern reads better than a list."""

LISTED = 3
"""Numbers of a fold that are written out where they have no common step."""

# Whole words only: the 1 of "conv1" or of "1.weight" is part of a name; the x of "0.4x" and the % are units.
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.+-])[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?=x(?![A-Za-z0-9_])|\.(?![A-Za-z0-9_])|(?![A-Za-z0-9_.]))"
)

Template = tuple[str, ...]


def fold_names(names: Iterable[str]) -> list[str]:
    """Dotted names in order of appearance, those that differ in one number as one: `layers.{0..11}.fc`."""
    keys = {name: _keys(tuple(name.split("."))) for name in names}
    sizes = Counter(key for found in keys.values() for key, _ in found)
    groups: dict[Template, dict[str, int]] = {}
    for name, found in keys.items():
        key, number = max(found, key=lambda pair: sizes[pair[0]], default=((), 0))
        groups.setdefault(key if sizes[key] >= MIN_FOLD else (name,), {})[name] = number
    folded: list[str] = []
    for key, members in groups.items():
        place = next((i for i, part in enumerate(key) if part.endswith(_OPEN)), None)
        if place is None or len(members) < MIN_FOLD:
            folded += members
            continue
        numbers = _numbers(sorted(members.values()), bare=key == (_OPEN,))
        folded.append(".".join((*key[:place], key[place][: -len(_OPEN)] + numbers, *key[place + 1 :])))
    return folded


_OPEN = "\0"
"""Stands for a number in a pattern; names that are shown hold no control characters."""

_COUNTED = re.compile(r"^(.*?)(0|[1-9][0-9]{0,8})$")


def _keys(parts: Template) -> list[tuple[Template, int]]:
    """The patterns that a name may belong to, itself with one of its numbers left open, and that number."""
    found = [(i, match) for i, part in enumerate(parts) if (match := _COUNTED.match(part))]
    return [((*parts[:i], match[1] + _OPEN, *parts[i + 1 :]), int(match[2])) for i, match in found]


def _numbers(numbers: Sequence[int], bare: bool) -> str:
    steps = {b - a for a, b in pairwise(numbers)}
    if steps == {1}:
        text = f"{numbers[0]}..{numbers[-1]}"
    elif len(steps) == 1 and len(numbers) > LISTED + 1:
        text = f"{numbers[0]}, {numbers[1]}, .. {numbers[-1]}" if bare else f"{numbers[0]},{numbers[1]},..{numbers[-1]}"
    elif len(numbers) <= 2 * LISTED:
        text = (", " if bare else ",").join(map(str, numbers))
    else:
        shown = (", " if bare else ",").join(map(str, numbers[:LISTED]))
        text = f"{shown}, .. {numbers[-1]}" if bare else f"{shown},..{numbers[-1]}"
    return text if bare else "{" + text + "}"


def fold_messages(findings: Iterable[Finding], say: Say = english) -> list[tuple[str, list[Finding]]]:
    """Findings that say the same but for numbers, together, in order of appearance; the numbers become ranges."""
    groups: dict[Template, list[tuple[Sequence[str], Finding]]] = {}
    for finding in findings:
        words = {value for value in finding.evidence.values() if isinstance(value, str)}
        key, numbers = _template(finding.message, words)
        groups.setdefault(key, []).append((numbers, finding))
    return [
        (_filled(key, [numbers for numbers, _ in members], say), [finding for _, finding in members])
        for key, members in groups.items()
    ]


def fold_alike(pairs: Iterable[tuple[str, Finding]], say: Say = english) -> list[tuple[str, list[Finding]]]:
    """Texts that are the same but for numbers as one each, with ranges, and the findings that each is about."""
    groups: dict[Template, tuple[list[Sequence[str]], list[Finding]]] = {}
    for text, finding in pairs:
        key, numbers = _template(text, ())
        rows, findings = groups.setdefault(key, ([], []))
        rows.append(numbers)
        findings.append(finding)
    return [(_filled(key, rows, say), findings) for key, (rows, findings) in groups.items()]


def _template(text: str, names: Iterable[str]) -> tuple[Template, list[str]]:
    """The text around the numbers, and the numbers; what is a name from the model (a layer called "1") is text."""
    known = set(names)
    pieces, at = [""], 0
    numbers: list[str] = []
    for match in _NUMBER.finditer(text):
        pieces[-1] += text[at : match.start()]
        at = match.end()
        if match[0] in known:
            pieces[-1] += match[0]
        else:
            numbers.append(match[0])
            pieces.append("")
    pieces[-1] += text[at:]
    return tuple(pieces), numbers


def _filled(pieces: Template, rows: Sequence[Sequence[str]], say: Say) -> str:
    text = pieces[0]
    for place, piece in enumerate(pieces[1:]):
        column = [row[place] for row in rows]
        low, high = min(column, key=float), max(column, key=float)
        text += (low if low == high else say("{low} to {high}", low=low, high=high)) + piece
    return text
