"""Which tensor of a checkpoint goes where: names with their prefixes repaired, then shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from initadvisor.analysis.prefixes import best_prefixes, plain
from initadvisor.apply.pretrained.grids import Grid, grid_of

Shape = tuple[int, ...]
Head = Literal["auto", "redraw", "keep"]
Action = Literal["matched", "renamed", "adapted", "redrawn", "kept", "mismatched", "missing"]

_OLD_NAMES = {"gamma": "weight", "beta": "bias"}
"""What layer norms and batch norms are called in checkpoints that came from TensorFlow."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a side says of one entry: its shape and storage type."""

    shape: Shape
    dtype: str

    @property
    def is_float(self) -> bool:
        """Whether its elements are real numbers."""
        return self.dtype.startswith(("float", "bfloat"))


@dataclass(frozen=True, slots=True)
class Places:
    """Entries of the model by what they do there: weights and biases of heads, kernels of stems, position tables."""

    heads: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    positions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """What happens to one entry of the model. source: the file's name for it, None where it has none."""

    name: str
    action: Action
    shape: Shape
    source: str | None = None
    source_shape: Shape | None = None
    reason: str = ""
    grid: Grid | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Every entry of the model with what happens to it, and what of the file nothing asks for.

    strip, add: the prefix taken off the file's names, and the one put there. deeper: what of `unexpected` repeats a
    block that the model has fewer of, as the file of a deeper model of the same family does.
    """

    entries: tuple[Entry, ...]
    unexpected: tuple[str, ...]
    strip: str = ""
    add: str = ""
    deeper: tuple[str, ...] = ()

    def of(self, *actions: Action) -> tuple[Entry, ...]:
        """The entries with one of these actions."""
        return tuple(entry for entry in self.entries if entry.action in actions)


def match(
    file: Mapping[str, Tensor], model: Mapping[str, Tensor], places: Places | None = None, head: Head = "auto"
) -> Match:
    """Decide for every entry of a model what it gets from a file; nothing is read but names, shapes and types.

    head: "auto" draws a head anew where the file has none or one of another shape, "redraw" always, "keep" never.
    """
    places = places or Places()
    names = _renamed(file, model)
    strip, add = best_prefixes({n: file[s].shape for n, s in names.items()}, {n: t.shape for n, t in model.items()})
    table = {(add + name[len(strip) :] if name.startswith(strip) else name): source for name, source in names.items()}
    for name, source in names.items():
        table.setdefault(name, source)
    entries = tuple(_entry(name, wanted, table.get(name), file, places, head) for name, wanted in model.items())
    used = {entry.source for entry in entries if entry.source is not None}
    unexpected = tuple(name for name in file if name not in used)
    repaired = any(entry.action == "renamed" for entry in entries)
    kinds = {_kind(name) for name in model}
    back: dict[str, str] = {}
    for name, source in table.items():  # the repaired name comes before the file's own
        back.setdefault(source, name)
    deeper = tuple(name for name in unexpected if len(file[name].shape) > 1 and _kind(back.get(name, name)) in kinds)
    return Match(entries, unexpected, strip if repaired else "", add if repaired else "", deeper)


def _kind(name: str) -> str:
    """A name with its numbers left out: what blocks of a kind have in common."""
    return re.sub(r"\d+", "#", name)


def _renamed(file: Mapping[str, Tensor], model: Mapping[str, Tensor]) -> dict[str, str]:
    """The file's entries under names without what wrappers put into them, by their own names."""
    found: dict[str, str] = {}
    ends = {name.rpartition(".")[2] for name in model}
    for source in file:
        name = plain(source)
        head, dot, last = name.rpartition(".")
        if last in _OLD_NAMES and last not in ends:
            name = head + dot + _OLD_NAMES[last]
        found.setdefault(name, source)
    return found


def _entry(
    name: str, wanted: Tensor, source: str | None, file: Mapping[str, Tensor], places: Places, head: Head
) -> Entry:
    is_head = name in places.heads and head != "keep"
    entry = Entry(name, "missing", wanted.shape)
    if source is None:
        if is_head:
            return replace(entry, action="redrawn", reason="the file has no such head")
        if not wanted.is_float:
            return replace(entry, action="kept", reason="a counter or an index that the model sets itself")
        return replace(entry, reason="the file has no such tensor")
    given = file[source]
    entry = replace(entry, source=source, source_shape=given.shape)
    if is_head and (head == "redraw" or given.shape != wanted.shape):
        same = given.shape == wanted.shape
        return replace(entry, action="redrawn", reason="as asked" if same else "a head for other classes")
    if given.is_float != wanted.is_float:
        if not wanted.is_float:
            return replace(entry, action="kept", reason=f"{given.dtype} in the file, {wanted.dtype} here")
        return replace(entry, action="mismatched", reason=f"{given.dtype} in the file: quantised, or no weight")
    if given.shape == wanted.shape:
        return replace(entry, action="matched" if source == name else "renamed")
    return _of_other_shape(entry, wanted, given, places)


def _of_other_shape(entry: Entry, wanted: Tensor, given: Tensor, places: Places) -> Entry:
    if not wanted.is_float:
        return replace(entry, action="kept", reason="an index that the model computes for its own size")
    if entry.name in places.stems and _stem_fits(wanted.shape, given.shape):
        reason = f"{given.shape[1]} input channels in the file, {wanted.shape[1]} here"
        return replace(entry, action="adapted", reason=reason)
    grid = grid_of(given.shape, wanted.shape) if entry.name in places.positions else None
    if grid is not None:
        return replace(entry, action="adapted", grid=grid, reason=f"interpolated from {grid.describe()}")
    sizes = f"{_written(given.shape)} in the file, {_written(wanted.shape)} here"
    return replace(entry, action="mismatched", reason=sizes)


def _stem_fits(wanted: Shape, given: Shape) -> bool:
    return len(wanted) == len(given) >= 3 and wanted[0] == given[0] and wanted[2:] == given[2:] and given[1] > 0


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a scalar"
