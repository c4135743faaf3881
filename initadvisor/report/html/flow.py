"""The model as blocks within blocks, by module, in the order of the forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from initadvisor.report.details import FlowStep
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.html.marks import Mark, Marks
from initadvisor.report.model import Report
from initadvisor.rules.rule import SEVERITIES, Severity

MAX_STEPS = 2000
MAX_DEPTH = 12
"""Modules within modules that are blocks of their own; what lies deeper keeps its path in its name."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A step further up that feeds an operator, by its number and name."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Operator:
    """One step. origins: what feeds it, where that is not just the step before."""

    number: int
    name: str
    shape: str
    origins: list[Origin]
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class Block:
    """A module at one call: blocks and operators in order, or one operator by itself.

    counts: findings within, by severity. Blocks above anything that branches are open.
    """

    name: str
    operator: Operator | None = None
    inner: list[Block] = field(default_factory=list)
    operators: int = 1
    shape: str = ""
    counts: list[tuple[Severity, int]] = field(default_factory=list)
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    path: tuple[str, ...]
    operator: Operator


def blocks_of(report: Report, marks: Marks, share: int = 1) -> list[Block]:
    """The outermost blocks; nothing where the report does not carry the flow."""
    if report.details is None:
        return []
    steps = report.details.flow[: max(50, MAX_STEPS // share)]
    placed = [_Placed(_path(step.where), _operator(place, step, steps, marks)) for place, step in enumerate(steps)]
    blocks = _fold(placed, 0)
    _unfold(blocks)
    return blocks


def _path(where: str) -> tuple[str, ...]:
    parts = where.split(".", MAX_DEPTH) if where else []
    return tuple(visible(part, MAX_NAME) for part in parts)


def _operator(place: int, step: FlowStep, steps: Sequence[FlowStep], marks: Marks) -> Operator:
    plain = step.inputs == (place - 1,) or (place == 0 and not step.inputs)
    origins = [] if plain else [Origin(i + 1, _name(steps[i])) for i in step.inputs if i < len(steps)]
    shape = " × ".join("?" if size is None else str(size) for size in step.shape or ())
    return Operator(
        number=place + 1,
        name=visible(step.operator, MAX_NAME),
        shape=shape,
        origins=origins,
        marks=marks.at(step.layer),
    )


def _name(step: FlowStep) -> str:
    leaf = visible(step.where.rpartition(".")[2], 40)
    operator = visible(step.operator, 40)
    return f"{leaf} {operator}" if leaf and leaf != operator else operator


def _fold(placed: Sequence[_Placed], depth: int) -> list[Block]:
    """Neighbours under one module become one block; a module with one operator stays an operator."""
    blocks: list[Block] = []
    for name, group in groupby(placed, key=lambda one: one.path[depth] if depth < len(one.path) else None):
        steps = list(group)
        if name is None:
            blocks += [_single(one, depth) for one in steps]
        elif len(steps) == 1:
            blocks.append(_single(steps[0], depth))
        else:
            blocks.append(_block(name, steps, depth))
    return blocks


def _block(name: str, steps: Sequence[_Placed], depth: int) -> Block:
    inner = _fold(steps, depth + 1)
    if len(inner) == 1 and inner[0].operator is None:
        # A module that only holds another one: one box for both.
        inner[0].name = f"{name}.{inner[0].name}"
        return inner[0]
    found = Counter(mark.severity for one in steps for mark in one.operator.marks)
    return Block(
        name=name,
        inner=inner,
        operators=len(steps),
        shape=steps[-1].operator.shape,
        counts=_counts(found),
    )


def _single(one: _Placed, depth: int) -> Block:
    name = ".".join(one.path[depth:])
    found = Counter(mark.severity for mark in one.operator.marks)
    return Block(name=name, operator=one.operator, shape=one.operator.shape, counts=_counts(found))


def _counts(found: Mapping[Severity, int]) -> list[tuple[Severity, int]]:
    return [(severity, found[severity]) for severity in SEVERITIES if found.get(severity)]


def _unfold(blocks: list[Block]) -> None:
    while len([block for block in blocks if block.operator is None]) == 1 and len(blocks) <= 6:
        [only] = [block for block in blocks if block.operator is None]
        only.is_open = True
        blocks = only.inner
