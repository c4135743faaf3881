"""Did-you-mean, for names that people type."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt word most likely stands for, or None where none is near."""
    import difflib

    names = sorted(set(known))
    folded = {name.casefold(): name for name in names}
    if word.casefold() in folded:
        return folded[word.casefold()]
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The hint of an error about an unknown name, or None where nothing is near."""
    found = closest(word, known)
    return f'did you mean "{found}"?' if found else None
