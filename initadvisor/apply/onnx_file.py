"""A plan on an ONNX file: a new file with the same graph, types and data layout, and other elements.

Only `onnx` and numpy are needed. The new file appears at once and whole: data first, then the model under a temporary
name, checked, then renamed.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initadvisor.apply import onnx_tensors as tensors
from initadvisor.apply.onnx_uses import split_shared
from initadvisor.errors import FormatError, UsageError
from initadvisor.graph import Graph
from initadvisor.initializers import Key
from initadvisor.plan import Plan, PlanStep

if TYPE_CHECKING:
    from onnx import ModelProto

CHUNK = 1 << 22
"""Elements drawn at a time where each can be drawn alone."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the model, the files of external data beside it, the parameters drawn and left alone."""

    path: Path
    data: tuple[Path, ...]
    drawn: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Job:
    """The steps that write into one stored tensor: (step, its first element, [start, stop) in the tensor)."""

    stored: tensors.Stored
    parts: list[tuple[PlanStep, int, int, int]] = field(default_factory=list)
    transposed: bool = False


def apply(source: Path | str, output: Path | str, graph: Graph, plan: Plan) -> Written:
    """Write `output`: the model at `source` with the parameters of the plan drawn.

    graph: `source` as the ONNX frontend reads it, which says where in the file each parameter lies. The source and its
    external data are only read.

    Raises UsageError where the output is the source, where the plan does not fit, or where a tensor cannot be written.
    """
    import onnx

    source, output = Path(source), Path(output)
    if output.exists() and os.path.samefile(source, output):
        raise UsageError(f"{output} is the model itself", hint="name another file: the original is never changed")
    model = onnx.load(os.fspath(source), load_external_data=False)
    notes = split_shared(model, graph, plan)
    stored = tensors.stored_tensors(model)
    jobs = _jobs(graph, plan, stored)
    files = _write_external(jobs, source, output, model, plan)
    for job in jobs:
        if not job.stored.external:
            _write_embedded(job, plan)
    _commit(model, source, output)
    drawn = tuple(dict.fromkeys(step.parameter for job in jobs for step, *_ in job.parts))
    kept = tuple(step.parameter for step in plan if step.spec is None)
    return Written(output, tuple(files), drawn, kept, tuple(notes))


def _jobs(graph: Graph, plan: Plan, stored: dict[str, tensors.Stored]) -> list[_Job]:
    """What to write where; raises UsageError where a parameter of the plan is not in the file."""
    jobs: dict[tuple[str, bool], _Job] = {}
    for step in plan.draws:
        parameter = graph.parameters.get(step.parameter)
        if parameter is None or parameter.shape != step.shape:
            raise UsageError(
                f"the plan names {step.parameter!r} of shape {step.shape}, which the file does not have",
                hint="make the plan from this file",
            )
        first = 0
        for name, start, stop in parameter.pieces:
            if name not in stored:
                raise UsageError(
                    f"{step.parameter!r} is computed in the file, not stored: it cannot be drawn",
                    hint="leave it out with a policy: {... = 'keep'}",
                )
            job = jobs.setdefault((name, False), _Job(stored[name]))
            job.parts.append((step, first, start, stop))
            first += stop - start
        if first != prod(step.shape):
            raise UsageError(f"where {step.parameter!r} lies in the file is not known")
    owned = {name for p in graph.parameters.values() for name, _, _ in p.pieces}
    for step, name in _transposed_copies(graph, plan, stored, owned):
        job = _Job(stored[name], [(step, 0, 0, prod(step.shape))], transposed=True)
        jobs[name, True] = job
    return list(jobs.values())


def _transposed_copies(
    graph: Graph, plan: Plan, stored: dict[str, tensors.Stored], owned: set[str]
) -> Iterator[tuple[PlanStep, str]]:
    """Tensors that no parameter owns and that hold a drawn matrix transposed: an exporter's copy of a tied weight."""
    spare: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, tensor in stored.items():
        if name not in owned and tensor.proto is not None and len(tensor.proto.dims) == 2 and not tensor.external:
            spare[tuple(tensor.proto.dims)].append(name)
    for step in plan.draws:
        for name in spare.get(step.shape[::-1], ()):
            parameter, proto = graph.parameters[step.parameter], stored[name].proto
            if parameter.source is None or proto is None or not proto.data_type:
                continue
            own = parameter.source.raw()
            if own is None or own.dtype.itemsize * own.size != len(tensors.elements(stored[name])):
                continue
            theirs = tensors.elements(stored[name]).view(own.dtype).reshape(step.shape[::-1])
            if np.array_equal(own.reshape(step.shape), theirs.T):
                yield step, name


def _values(step: PlanStep, seed: int, dtype: str) -> Callable[[int, int], np.ndarray]:
    """A function of (start, stop) that gives elements of a step's draw; what hangs together is drawn once."""
    assert step.spec is not None
    spec, key = step.spec, Key(seed, step.parameter)
    wide = np.float64 if dtype == "float64" else np.float32
    if spec.distribution(step.shape, step.layout) is None:
        whole = spec.draw(step.shape, key, step.layout, wide).reshape(-1)
        return lambda start, stop: whole[start:stop]
    return lambda start, stop: spec.draw(step.shape, key, step.layout, wide, range(start, stop))


def _chunks(job: _Job, seed: int, dtype: str) -> Iterator[tuple[int, np.ndarray]]:
    """(first element in the stored tensor, bytes) of everything that the job writes."""
    for step, first, start, stop in job.parts:
        values = _values(step, seed, dtype)
        if job.transposed:
            yield start, tensors.encode(values(0, stop).reshape(step.shape).T.reshape(-1), dtype)
            continue
        for offset in range(0, stop - start, CHUNK):
            end = min(offset + CHUNK, stop - start)
            yield start + offset, tensors.encode(values(first + offset, first + end), dtype)


def _write_embedded(job: _Job, plan: Plan) -> None:
    proto = job.stored.proto
    if proto is None:  # a fill: the step says what it is
        step = job.parts[0][0]
        code = {"float32": 1, "float16": 10, "float64": 11, "bfloat16": 16}.get(step.dtype)
        if code is None:
            raise UsageError(f"{step.parameter!r} of type {step.dtype} cannot be drawn")
        size = tensors.dtype_size(code)
        data, dims, dtype = np.zeros(prod(step.shape) * size, np.uint8), step.shape, step.dtype
    else:
        code, dtype, dims = proto.data_type, tensors.dtype_of(proto), tuple(proto.dims)
        size, data = tensors.dtype_size(code), tensors.elements(job.stored)
    for start, encoded in _chunks(job, plan.seed, dtype):
        data[start * size : start * size + len(encoded)] = encoded
    tensors.put(job.stored, data, dims, code)


def _write_external(jobs: Sequence[_Job], source: Path, output: Path, model: ModelProto, plan: Plan) -> list[Path]:
    """Copy each file of external data under a name of its own, patch what the plan draws, point the model at it."""
    every = [t for t in tensors.stored_tensors(model).values() if t.external]
    locations = dict.fromkeys(t.external_entries().get("location", "") for t in every)
    written = []
    for number, location in enumerate(locations):
        old = _inside(source.parent, location)
        name = f"{output.stem}.{_digest(plan, source, location)}" + (f".{number}" if number else "") + ".data"
        new = output.parent / name
        mine = [job for job in jobs if job.stored.external_entries().get("location") == location]
        _patched_copy(old, new, mine, plan)
        for tensor in every:
            for entry in tensor.proto.external_data if tensor.proto is not None else ():
                if entry.key == "location" and entry.value == location:
                    entry.value = name
        written.append(new)
    return written


def _patched_copy(old: Path, new: Path, jobs: Sequence[_Job], plan: Plan) -> None:
    temporary = new.with_name(new.name + ".tmp")
    with open(old, "rb") as reader, open(temporary, "wb") as writer:
        while block := reader.read(1 << 24):
            writer.write(block)
        for job in jobs:
            assert job.stored.proto is not None
            base = int(job.stored.external_entries().get("offset") or 0)
            dtype = tensors.dtype_of(job.stored.proto)
            size = tensors.dtype_size(job.stored.proto.data_type)
            for start, encoded in _chunks(job, plan.seed, dtype):
                writer.seek(base + start * size)
                writer.write(encoded.tobytes())
        writer.flush()
        os.fsync(writer.fileno())
    os.replace(temporary, new)


def _inside(folder: Path, location: str) -> Path:
    """A file of external data; the frontend has refused what leaves the folder, this only repeats it."""
    path = folder / location
    if not location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise UsageError(f"external data {location!r} lies outside the model's folder")
    return path


def _digest(plan: Plan, source: Path, location: str) -> str:
    """A name that the same plan on the same model always gets, and no other does."""
    import json

    text = json.dumps([plan.to_json()["steps"], plan.seed, source.name, location], sort_keys=True, default=str)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _commit(model: ModelProto, source: Path, output: Path) -> None:
    """Write the model beside its data under a temporary name, check it, and put it in place."""
    temporary = output.with_name(output.name + ".tmp")
    try:
        with open(temporary, "wb") as writer:
            writer.write(model.SerializeToString(deterministic=True))
            writer.flush()
            os.fsync(writer.fileno())
        problem = _complaint(temporary)
        if problem is not None and _complaint(source) is None:
            raise FormatError(f"the model that was to be written to {output} is not valid: {problem}")
        os.replace(temporary, output)
    except ValueError as error:
        raise UsageError(f"{output} cannot be written: {error}", hint="store the weights as external data") from error
    finally:
        temporary.unlink(missing_ok=True)


def _complaint(path: Path) -> str | None:
    from onnx import checker

    try:
        checker.check_model(os.fspath(path))
    except (checker.ValidationError, ValueError) as error:
        return str(error).strip().splitlines()[0]
    return None
