"""Graph -> `TensorFacts` of every stored tensor: one streaming pass each, on a thread a processor."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import log, prod, sqrt
from typing import cast

import numpy as np
from threadpoolctl import threadpool_limits

from initadvisor.analysis.facts.tensor import DrawFacts, TensorFacts
from initadvisor.analysis.fingerprint import Place, fingerprint, settle
from initadvisor.analysis.fingerprint.evidence import SAMPLE, gather
from initadvisor.analysis.places import places
from initadvisor.analysis.tensors.duplicates import copies, duplicate_rows
from initadvisor.analysis.tensors.levels import even_levels
from initadvisor.analysis.tensors.mirrored import MIRRORED, is_mirrored
from initadvisor.analysis.tensors.moments import MAX_KEPT_LINES, Moments, finish, read_segment
from initadvisor.analysis.tensors.rows import RowView, row_axes, row_view
from initadvisor.analysis.tensors.sampling import element_sample, whole
from initadvisor.analysis.tensors.spectrum import effective_rank
from initadvisor.analysis.tensors.tiles import segments
from initadvisor.analysis.tensors.uninitialised import uninitialised_score
from initadvisor.frontends.sources import ArraySource, DivisibleSource, FilledSource, release
from initadvisor.graph import Graph, Parameter

RANK_LINES, RANK_COLUMNS = 64, 256
"""The submatrix of which the effective rank is taken."""

MAX_UNDIVIDED = 1 << 24
"""Elements of a source without random access that are read into memory; of a larger one nothing is measured."""

_SMALLEST_NORMAL = {
    "float64": 2.2250738585072014e-308, "float32": 1.1754943508222875e-38, "bfloat16": 1.1754943508222875e-38,
    "float16": 6.103515625e-05, "float8_e4m3fn": 2.0**-6, "float8_e5m2": 2.0**-14,
}  # fmt: skip

_EULER = 0.5772156649015329

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes in all."""


@dataclass(slots=True)
class _Task:
    """One tensor on its way through the passes."""

    parameter: Parameter
    source: DivisibleSource
    view: RowView
    place: Place
    tall: bool


@dataclass(slots=True)
class _Result:
    facts: TensorFacts
    signature: tuple[object, ...] = ()


def tensor_facts(
    graph: Graph, *, threads: int | None = None, progress: Progress | None = None
) -> dict[str, TensorFacts]:
    """The facts of every parameter and buffer by name; those without elements have only name, type and shape.

    graph: after `initadvisor.analysis.structure.describe`, whose layers say which axis numbers the outputs and what
        the fans are; a state dict goes without. threads: None for one a processor.
    """
    where = places(graph)
    results: dict[str, _Result] = {}
    tasks: list[_Task] = []
    for name, parameter in graph.parameters.items():
        source = _divisible(parameter)
        if source is None or not parameter.size:
            results[name] = _Result(_named(parameter))
        elif isinstance(source, FilledSource):
            results[name] = _filled(parameter, source)
        else:
            tasks.append(_task(parameter, source, where.get(name, Place())))
    tasks.sort(key=lambda t: -t.parameter.size)
    for task, result in zip(tasks, _measured(tasks, threads, progress), strict=True):
        results[task.parameter.name] = result
    _compare(graph, {t.parameter.name: t.source for t in tasks}, results)
    return {name: results[name].facts for name in graph.parameters}


def _measured(tasks: list[_Task], threads: int | None, progress: Progress | None) -> list[_Result]:
    workers = max(min(threads or os.cpu_count() or 1, 16), 1)
    total = sum(t.view.size * 4 for t in tasks)
    done = 0

    def read(job: tuple[_Task, int, int]) -> Moments:
        task, first, last = job
        return read_segment(task.source, task.view, first, last, task.tall)

    jobs = [(task, *part) for task in tasks for part in segments(task.view)]
    # BLAS threads of its own would spin against these for matrices of a hundred rows: half of the time was lost so.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        run = pool.map if workers > 1 and len(jobs) > 1 else map
        parts: dict[int, list[Moments]] = {id(task): [] for task in tasks}
        for (task, _, _), part in zip(jobs, run(read, jobs), strict=True):
            parts[id(task)].append(part)
            done += part.view.size * 4
            if progress is not None:
                progress(done, total)
        return list(run(lambda task: _finished(task, parts.pop(id(task))), tasks))


def _finished(task: _Task, parts: list[Moments]) -> _Result:
    with np.errstate(all="ignore"):
        moments = finish(task.source, task.view, parts)
        facts, signature = _facts(task, moments)
    release(task.source)
    return _Result(facts, signature)


def _facts(task: _Task, moments: Moments) -> tuple[TensorFacts, tuple[object, ...]]:
    parameter, source, view = task.parameter, task.source, task.view
    facts = _named(parameter)
    sample = element_sample(source, SAMPLE)
    evidence = gather(source, moments, task.place, sample)
    if moments.finite:
        std, mean = moments.std, moments.mean
        facts.mean, facts.std, facts.rms = mean, std, sqrt(std * std + mean * mean) if std < 1e150 else std
        facts.min, facts.max, facts.absmax = moments.low, moments.high, moments.absmax
        facts.mean_z = mean * sqrt(moments.finite) / std if std > 0 else None
        facts.kurtosis = evidence.kurtosis if std > 0 else None
    facts.nan_count, facts.inf_count = moments.nan_count, moments.inf_count
    facts.constant = moments.low == moments.high and moments.finite == view.size
    facts.zero_fraction = float(np.mean(sample == 0))
    smallest = _SMALLEST_NORMAL.get(parameter.dtype)
    if smallest is not None:
        facts.subnormal_fraction = float(np.mean((sample != 0) & (np.abs(sample) < smallest)))
    signature = (moments.low, moments.high, zlib.crc32(np.ascontiguousarray(sample[:4096]).tobytes()), facts.constant)
    if not parameter.is_float:
        return facts, signature
    facts.levels = even_levels(evidence.lines) if len(parameter.shape) > 1 else 0
    if view.rows > 1:
        same = facts.constant
        facts.duplicate_rows = 1 - 1 / view.rows if same else duplicate_rows(source, view, moments.row_keys)
        facts.row_std_spread = None if same else _row_std_spread(moments)
        facts.row_sums = None if same else _row_sums(moments, facts.rms)
    facts.uninitialised = uninitialised_score(sample, parameter.dtype)
    if min(evidence.lines.shape, default=0) >= 4 and not facts.constant:
        facts.effective_rank = effective_rank(evidence.lines[:RANK_LINES, :RANK_COLUMNS])
    facts.mirrored = not facts.constant and is_mirrored(source, parameter.shape, facts.mean, facts.std)
    if facts.mirrored:
        facts.draw = MIRRORED
    elif not parameter.buffer:
        facts.draw = fingerprint(evidence)
    if facts.draw is not None:
        facts.outlier_ratio = _outlier_ratio(moments, evidence.sample, facts.draw)
    return facts, signature


def _compare(graph: Graph, sources: dict[str, DivisibleSource], results: dict[str, _Result]) -> None:
    """Facts that need more than one tensor: copies, and verdicts weighed against each other."""
    constant = {name for name, result in results.items() if result.facts.constant}
    varied = {name: source for name, source in sources.items() if name not in constant}
    count = copies(varied, {name: results[name].signature for name in varied})
    kinds = {n: (r.facts.min, r.facts.shape, r.facts.dtype) for n, r in results.items() if n in constant}
    tally = Counter(kinds.values())
    count.update({name: tally[kind] - 1 for name, kind in kinds.items()})
    for name, number in count.items():
        results[name].facts.copies = number
    draws = {name: result.facts.draw for name, result in results.items() if result.facts.draw is not None}
    for name, draw in settle(draws, {name: graph.parameters[name].shape for name in draws}).items():
        results[name].facts.draw = draw


def _task(parameter: Parameter, source: DivisibleSource, place: Place) -> _Task:
    shape = parameter.shape
    view = row_view(shape, row_axes(place.layout, shape))
    tall = len(shape) > 1 and prod(shape[1:]) < shape[0] <= MAX_KEPT_LINES and prod(shape[1:]) >= 4
    # The leading columns can be kept only by tiles that are made of whole lines of the leading axis.
    whole_lines = view.line <= 1 << 17 and view.line % prod(shape[1:]) == 0 if tall else False
    return _Task(parameter, source, view, place, tall and whole_lines)


def _named(parameter: Parameter) -> TensorFacts:
    return TensorFacts(
        name=parameter.name, dtype=parameter.dtype, shape=parameter.shape, rank=len(parameter.shape),
        count=parameter.size, buffer=parameter.buffer, trainable=parameter.trainable,
        frozen=parameter.trainable is False,
    )  # fmt: skip


def _filled(parameter: Parameter, source: FilledSource) -> _Result:
    facts, value = _named(parameter), source.value
    finite = bool(np.isfinite(value))
    if finite:
        facts.mean = facts.min = facts.max = value
        facts.std, facts.rms, facts.absmax = 0.0, abs(value), abs(value)
    facts.nan_count = parameter.size if np.isnan(value) else 0
    facts.inf_count = parameter.size - facts.nan_count if not finite else 0
    facts.constant, facts.zero_fraction = finite, float(value == 0)
    facts.uninitialised = 0.0
    if len(parameter.shape) > 1:
        facts.duplicate_rows = 1 - 1 / max(parameter.shape[0], 1)
    if finite and parameter.is_float and not parameter.buffer:
        name = {0.0: "zeros", 1.0: "ones"}.get(value, "constant")
        facts.draw = DrawFacts(
            method=name, family="constant", distribution="constant", mode="none", std=0.0, confidence=1.0, trained=False
        )
    return _Result(facts)


def _divisible(parameter: Parameter) -> DivisibleSource | None:
    source = parameter.source
    if source is None:
        return None
    if hasattr(source, "part"):
        return cast(DivisibleSource, source)
    return ArraySource(whole(source), shape=source.shape) if parameter.size <= MAX_UNDIVIDED else None


def _row_sums(moments: Moments, rms: float | None) -> float | None:
    """Mean square of the rows' sums over length * rms^2; None where rows are short or something is not finite."""
    length = moments.row_length
    if length < 2 or not rms or moments.nan_count or moments.inf_count:
        return None
    sums = moments.row_sum * moments.scale + moments.shift * length
    return float(np.mean(np.square(sums))) / (length * rms * rms)


def _row_std_spread(moments: Moments) -> float | None:
    """95th over 5th percentile of the standard deviation within rows; None where rows are short or constant."""
    length = moments.row_length
    if length < 2 or moments.nan_count or moments.inf_count:
        return None
    variance = moments.row_square / length - np.square(moments.row_sum / length)
    low, high = np.sqrt(np.maximum(np.quantile(variance, [0.05, 0.95]), 0.0))
    return float(high / low) if low > 0 else None


def _outlier_ratio(moments: Moments, sample: np.ndarray, draw: DrawFacts) -> float | None:
    """Largest magnitude over the expected largest of as many draws; spread taken robustly, from the middle half."""
    if moments.finite < 16 or not moments.std > 0:
        return None
    few = sample[:: max(sample.size // 4096, 1)].astype(np.float64)
    centre = float(np.median(few))
    if draw.bound is not None and not draw.trained:
        return max(abs(moments.low), abs(moments.high)) / draw.bound
    spread = float(np.median(np.abs(few - centre))) / 0.6744897501960817
    expected = spread * expected_largest(moments.finite)
    return max(abs(moments.low - centre), abs(moments.high - centre)) / expected if expected > 0 else None


def expected_largest(count: int) -> float:
    """The expected largest magnitude of `count` standard normal draws (Gumbel limit; within 1% from 16 draws on)."""
    level = sqrt(2 * log(2 * count))
    location = level - (log(log(2 * count)) + log(4 * np.pi)) / (2 * level)
    return float(location + _EULER / level)
