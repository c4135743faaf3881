"""Which prefix stands between two sets of names: what `module.`, `model.` or `backbone.` in front of them hides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

Shape = tuple[int, ...]

INFIXES = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Parts that wrappers of torch put anywhere into a name: `torch.compile`, FSDP, activation checkpointing."""

LEAST_SHARE = 0.1
"""Share of the names that has to stand behind a prefix for it to be tried."""

ENOUGH = 0.9
"""Share of the names that fit as they are from which on no prefix is looked for."""

LEAST_EXPLAINED = 0.25
"""Share of the smaller side that has to fit behind a prefix: two tensors of one shape make no repair."""

MOST_PARTS = 4
MOST_PREFIXES = 64


def plain(name: str) -> str:
    """A name without the parts that wrappers of torch put into it."""
    if not any(part in name for part in INFIXES):
        return name
    return ".".join(part for part in name.split(".") if part not in INFIXES)


def best_prefixes(given: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> tuple[str, str]:
    """(what to take from the front of the given names, what to put there) so that most of them are wanted ones.

    Names that agree in shape count more than names alone; of equals, the pair that changes least wins. No prefix is
    taken where none explains a fair share.
    """
    same = sum(wanted.get(name) == shape for name, shape in given.items())
    if same >= ENOUGH * min(len(given), len(wanted)):
        return "", ""
    ours = [(prefix, _behind(given, prefix)) for prefix in _prefixes(given)]
    theirs = [(prefix, _behind(wanted, prefix)) for prefix in _prefixes(wanted)]
    best, chosen = (0, 0, 0), ("", "")
    for strip, left in ours:
        for add, right in theirs:
            if (strip and strip == add) or min(len(left), len(right)) < best[0]:
                continue
            names = left.keys() & right.keys()
            if len(names) < best[0]:
                continue
            shapes = sum(left[name] == right[name] for name in names)
            score = (shapes, len(names), -len(strip) - len(add))
            if score > best:
                best, chosen = score, (strip, add)
    return chosen if best[0] >= LEAST_EXPLAINED * min(len(given), len(wanted)) else ("", "")


def _behind(names: Mapping[str, Shape], prefix: str) -> dict[str, Shape]:
    """What stands behind a prefix, by the rest of its name."""
    return {name[len(prefix) :]: shape for name, shape in names.items() if name.startswith(prefix)}


def _prefixes(names: Mapping[str, Shape]) -> list[str]:
    """The empty prefix, and every one that a fair share of the names has."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1]
        for depth in range(1, min(len(parts), MOST_PARTS) + 1):
            counts[".".join(parts[:depth]) + "."] += 1
    least = max(LEAST_SHARE * len(names), 2)
    return ["", *(prefix for prefix, count in counts.most_common(MOST_PREFIXES) if count >= least)]
