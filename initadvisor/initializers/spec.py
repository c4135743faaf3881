"""`InitSpec`: the name of a method and its parameters, from which everything else follows."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.graph import Layout
from initadvisor.initializers.arrangement import arrange, default_layout
from initadvisor.initializers.code import Code, Framework, array_code, check_framework, distribution_code
from initadvisor.initializers.distributions import Distribution
from initadvisor.initializers.draws import Key, KeyedGenerator, Region
from initadvisor.initializers.draws.deviates import Array
from initadvisor.initializers.draws.region import normalise
from initadvisor.initializers.registry import Method, method


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch [start, stop) of `axis` of a stored weight and how it is drawn."""

    name: str
    axis: int
    start: int
    stop: int
    spec: InitSpec


@dataclass(frozen=True, slots=True)
class InitSpec:
    """How one tensor is drawn: a method of the table and its parameters, all JSON values.

    Raises UsageError where the method or a parameter does not exist.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", dict(self.params))
        object.__setattr__(self, "method", self.entry.name)
        self.entry.check(self.params)

    def __hash__(self) -> int:
        return hash((self.method, json.dumps(self.params, sort_keys=True)))

    @property
    def entry(self) -> Method:
        """The method's entry in the table."""
        return method(self.method)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> InitSpec:
        """Read {"method": ..., parameter: ...}, or a bare method name; raises UsageError for anything else."""
        if isinstance(data, str):
            return cls(data)
        if not isinstance(data, Mapping) or not isinstance(data.get("method"), str):
            raise UsageError(f"an initializer was expected, not {data!r}", hint='write { method = "zeros" }')
        return cls(data["method"], {k: v for k, v in data.items() if k != "method"})

    def to_json(self) -> dict[str, Any]:
        """{"method": ..., parameter: ...}."""
        return {"method": self.method, **self.params}

    def describe(self) -> str:
        """The method and its parameters on one line."""
        if self.entry.kind == "blocks":
            return "; ".join(f"{b['name']}: {InitSpec.from_json(b['spec']).describe()}" for b in self.params["blocks"])
        inner = ", ".join(f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.params.items())
        return f"{self.method}({inner})" if inner else self.method

    def distribution(self, shape: tuple[int, ...], layout: Layout | None = None) -> Distribution | None:
        """The distribution of each element, or None where the tensor is drawn as a whole or in parts."""
        if self.entry.kind != "distribution":
            return None
        result: Distribution = self.entry.function(shape, layout or default_layout(shape), **self.params)
        return result

    def parts(self, shape: tuple[int, ...]) -> Iterator[Part]:
        """The parts of a tensor that is drawn in parts; nothing for any other method."""
        if self.entry.kind != "blocks":
            return
        axis, end = int(self.params["axis"]), 0
        for block in self.params["blocks"]:
            if int(block["start"]) != end:
                raise UsageError(f"the parts of a tensor of shape {shape} leave a gap or overlap at {end}")
            end = int(block["stop"])
            yield Part(str(block["name"]), axis, int(block["start"]), end, InitSpec.from_json(block["spec"]))
        if end != shape[axis]:
            raise UsageError(f"the parts cover {end} of {shape[axis]} along axis {axis} of a tensor of shape {shape}")

    def std(self, shape: tuple[int, ...], layout: Layout | None = None) -> float:
        """The standard deviation of an element of a tensor so drawn (about the mean; a whole matrix: its RMS)."""
        if (distribution := self.distribution(shape, layout)) is not None:
            return distribution.std
        if parts := list(self.parts(shape)):
            squares = sum((p.stop - p.start) * p.spec.std(_sub(shape, p), layout) ** 2 for p in parts)
            return float(np.sqrt(squares / shape[parts[0].axis]))
        if self.entry.std is None:
            return float(np.std(self._whole(Key(0, ""), shape, layout)))
        if self.entry.kind == "array":
            return self.entry.std(shape, **self.params)
        a = arrange(shape, layout or default_layout(shape))
        return self.entry.std(a.out, a.in_, a.kernel, **self.params)

    def draw(
        self,
        shape: tuple[int, ...],
        key: Key,
        layout: Layout | None = None,
        dtype: np.dtype[Any] | type | str = np.float32,
        region: Region | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """The elements of a tensor of `shape`, or of a region of it, as a function of the key alone.

        `region` is a tuple of slices, one an axis, or a range of the C-order index; `out` receives the result where
        given; `threads` is at most how many a large draw may use. Raises UsageError where the method does not fit the
        shape.
        """
        if out is None:
            out = np.empty(_region_shape(shape, region), dtype)
        if stream := self.params.get("stream"):
            key = Key(key.seed, str(stream))
        if (distribution := self.distribution(shape, layout)) is not None:
            distribution.draw(key, shape, out, region, threads)
        elif (parts := list(self.parts(shape))) and not isinstance(region, range):
            self._draw_parts(parts, shape, key, layout, region, out)
        else:
            whole = self.draw(shape, key, layout, out.dtype) if parts else self._whole(key, shape, layout)
            if out.dtype.itemsize < 4:
                whole = whole.astype(np.float32)  # half types are rounded from float32, whoever draws them
            if isinstance(region, range):
                out[...] = whole.reshape(-1)[region.start : region.stop : region.step]
            else:
                out[...] = whole if region is None else whole[region]
        return out

    def code(self, framework: Framework, shape: tuple[int, ...], layout: Layout | None = None) -> Code:
        """Source text that draws the same distribution for a tensor of that shape under another framework."""
        check_framework(framework)
        layout = layout or default_layout(shape)
        if (distribution := self.distribution(shape, layout)) is not None:
            return distribution_code(distribution, framework)
        if parts := list(self.parts(shape)):
            return _parts_code(parts, shape, layout, framework)
        entry = self.entry
        keywords = "".join(f", {k}={v!r}" for k, v in self.params.items())
        helpers = tuple(_plain_source(f) for f in (*entry.needs, entry.function))
        name = entry.function.__name__
        if entry.kind == "array":
            # Parts of one draw name the same stream: in source text, the same seed.
            stream = self.params.get("stream")
            rng = f"np.random.default_rng({crc32(str(stream).encode('utf-8', 'surrogatepass'))})" if stream else "rng"
            return array_code(f"{name}({rng}, {shape}{keywords})", framework, helpers)
        a = arrange(shape, layout)
        native = entry.native.get(framework)
        first_out = 0 if framework == "pytorch" else len(shape) - 1
        if native and a.count == 1 and layout.out_axes == (first_out,) and not layout.batch_axes:
            text = native(a.out, a.in_, a.kernel, **self.params)
            if text is not None:
                return Code(text)
        call = f"{name}(rng, {a.out}, {a.in_}, {a.kernel}{keywords})"
        if a.count > 1:
            call = f"np.stack([{call} for _ in range({a.count})])"
        return array_code(a.code(call), framework, helpers)

    def _whole(self, key: Key, shape: tuple[int, ...], layout: Layout | None) -> Array:
        """The whole tensor in float64, for methods whose elements hang together."""
        entry = self.entry
        if entry.kind == "array":
            return np.asarray(entry.function(KeyedGenerator(key), shape, **self.params), np.float64).reshape(shape)
        a = arrange(shape, layout or default_layout(shape))
        stacked = np.empty((a.count, a.out, a.in_, *a.kernel))
        for i in range(a.count):
            rng = KeyedGenerator(key if a.count == 1 else key.child(f"group {i}"))
            stacked[i] = entry.function(rng, a.out, a.in_, a.kernel, **self.params)
        return a.store(stacked)

    def _draw_parts(
        self,
        parts: list[Part],
        shape: tuple[int, ...],
        key: Key,
        layout: Layout | None,
        region: tuple[slice, ...] | None,
        out: Array,
    ) -> None:
        """Each part of a fused tensor under its own key, where it meets the region."""
        bounds = normalise(shape, region)
        for part in parts:
            rows = bounds[part.axis]
            inside = [i for i, r in enumerate(rows) if part.start <= r < part.stop]
            if not inside:
                continue
            first, last = rows[inside[0]] - part.start, rows[inside[-1]] - part.start
            picks = [slice(r.start, r.stop, r.step) for r in bounds]
            picks[part.axis] = slice(first, last + 1, rows.step)
            target = [slice(None)] * len(shape)
            target[part.axis] = slice(inside[0], inside[-1] + 1)
            view = out[tuple(target)]
            part.spec.draw(_sub(shape, part), key.child(part.name), layout, region=tuple(picks), out=view)


def _sub(shape: tuple[int, ...], part: Part) -> tuple[int, ...]:
    return (*shape[: part.axis], part.stop - part.start, *shape[part.axis + 1 :])


def _region_shape(shape: tuple[int, ...], region: Region | None) -> tuple[int, ...]:
    return (len(region),) if isinstance(region, range) else tuple(len(r) for r in normalise(shape, region))


def _plain_source(function: Any) -> str:
    """A function's source without its decorators and annotations of this package."""
    lines = inspect.getsource(function).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    return "\n".join(lines[start:]).rstrip() + "\n"


def _parts_code(parts: list[Part], shape: tuple[int, ...], layout: Layout, framework: Framework) -> Code:
    pieces = [(part, part.spec.code(framework, _sub(shape, part), layout)) for part in parts]
    helpers = tuple(dict.fromkeys(h for _, piece in pieces for h in piece.helpers))
    if framework == "pytorch":
        lines = []
        for part, piece in pieces:
            view = f"tensor.narrow({part.axis}, {part.start}, {part.stop - part.start})"
            lines.append(piece.text.replace("tensor", view, 1).replace("tensor.dtype", f"{view}.dtype"))
        return Code("\n".join(lines), helpers)
    listed = ", ".join(f"({part.stop - part.start}, {piece.text})" for part, piece in pieces)
    return Code(f"in_blocks({parts[0].axis}, [{listed}])", (*helpers, _BLOCKS[framework]))


_BLOCKS = {
    "keras": '''\
def in_blocks(axis, parts):
    """An initializer that draws each (size, initializer) part along an axis on its own."""

    def initializer(shape, dtype=None):
        drawn = [init((*shape[:axis], size, *shape[axis + 1 :]), dtype) for size, init in parts]
        return keras.ops.concatenate(drawn, axis=axis)

    return initializer
''',
    "flax": '''\
def in_blocks(axis, parts):
    """An initializer that draws each (size, initializer) part along an axis on its own."""

    def initializer(key, shape, dtype=jnp.float32):
        keys = jax.random.split(key, len(parts))
        sizes = [(*shape[:axis], size, *shape[axis + 1 :]) for size, _ in parts]
        drawn = [init(k, size, dtype) for k, size, (_, init) in zip(keys, sizes, parts)]
        return jnp.concatenate(drawn, axis=axis)

    return initializer
''',
}
