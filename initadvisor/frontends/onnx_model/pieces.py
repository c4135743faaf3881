"""Tensors made of parts of others along their first axis, without a copy: gates put back in order, directions apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.frontends.onnx_model.tensors import Piece, Tensor
from initadvisor.frontends.sources import ArraySource, FilledSource
from initadvisor.frontends.storage_types import STORAGE_TYPES
from initadvisor.graph import TensorSource

if TYPE_CHECKING:
    from onnx import GraphProto

MOVES = frozenset({"Slice", "Concat", "Unsqueeze", "Squeeze", "Identity"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


class PiecesSource:
    """Several sources read one after the other as one tensor."""

    __slots__ = ("_parts", "dtype", "shape")

    def __init__(self, parts: Sequence[TensorSource], dtype: str, shape: tuple[int, ...]) -> None:
        self._parts = tuple(parts)
        self.dtype = dtype
        self.shape = shape

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield the elements in C order, `elements` at a time also across the parts."""
        kept: list[np.ndarray] = []
        size = 0
        for part in self._parts:
            for chunk in part.chunks(elements):
                if not size and chunk.size == elements:
                    yield chunk
                    continue
                kept.append(chunk.copy())  # a chunk is valid until the next one only
                size += chunk.size
                if size >= elements:
                    whole = np.concatenate(kept)
                    yield whole[:elements]
                    kept, size = [whole[elements:]], size - elements
        if size:
            yield np.concatenate(kept)

    def raw(self) -> np.ndarray | None:
        """None: the parts do not lie side by side."""
        return None

    def part(self, start: int, stop: int) -> TensorSource:
        """The elements [start, stop) in C order as a flat source of their own."""
        found: list[TensorSource] = []
        offset = 0
        for part in self._parts:
            size = prod(part.shape)
            low, high = max(start - offset, 0), min(stop - offset, size)
            if low < high:
                found.append(part.part(low, high))  # type: ignore[attr-defined]
            offset += size
        return PiecesSource(found, self.dtype, (max(stop - start, 0),))


def rows(whole: Tensor, width: int, places: Sequence[int]) -> Tensor:
    """The blocks of `width` rows at `places`, one below the other; all leading axes but the last count as rows.

    A tensor with two axes (directions, rows) has rows of one number. Where the blocks are one whole stored tensor in
    its own order, the result is that tensor.
    """
    inner = whole.shape[-1] if len(whole.shape) > 2 else 1
    block = width * inner
    found: list[Piece] = []
    for place in places:
        found += _cut(pieces_of(whole), place * block, (place + 1) * block)
    shape = (width * len(places), inner) if len(whole.shape) > 2 else (width * len(places),)
    return joined(f"{whole.name}[{places[0] * width}:]", whole.dtype, shape, found)


def joined(name: str, dtype: str, shape: tuple[int, ...], parts: Sequence[Piece]) -> Tensor:
    """A tensor made of pieces, neighbours merged; the stored tensor itself where nothing is left out or moved."""
    merged: list[Piece] = []
    for piece in parts:
        if merged and merged[-1].tensor is piece.tensor and merged[-1].stop == piece.start:
            merged[-1] = Piece(piece.tensor, merged[-1].start, piece.stop)
        elif piece.stop > piece.start:
            merged.append(piece)
    if len(merged) == 1:
        only = merged[0]
        if only.tensor.shape == shape and only.stop - only.start == only.tensor.size:
            return only.tensor
    sources = [_source(piece, shape if len(merged) == 1 else None) for piece in merged]
    made: TensorSource | None = None
    if sources and all(source is not None for source in sources):
        made = sources[0] if len(sources) == 1 else PiecesSource([s for s in sources if s is not None], dtype, shape)
    return Tensor(name, dtype, shape, "initializer", None, made=made, pieces=tuple(merged))


def pieces_of(tensor: Tensor) -> tuple[Piece, ...]:
    """The stored parts of a tensor in order; the tensor itself where it is stored in one piece."""
    return tensor.pieces if tensor.pieces is not None else (Piece(tensor, 0, tensor.size),)


def moved(
    name: str, op_type: str, inputs: Sequence[Tensor], known: Sequence[np.ndarray | None], attrs: dict[str, Any]
) -> Tensor | None:
    """A Slice, Concat, Squeeze or Unsqueeze along the first axis, as pieces; None for any other movement."""
    first = inputs[0]
    if op_type == "Identity":
        return first
    if op_type == "Concat":
        if attrs.get("axis", 1) != 0 or any(t.shape[1:] != first.shape[1:] or not t.shape for t in inputs):
            return None
        shape = (sum(t.shape[0] for t in inputs), *first.shape[1:])
        return joined(name, first.dtype, shape, [piece for t in inputs for piece in pieces_of(t)])
    if op_type in ("Unsqueeze", "Squeeze"):
        axes = known[1].reshape(-1).tolist() if len(known) > 1 and known[1] is not None else attrs.get("axes")
        if axes is None or list(axes) != [0] or (op_type == "Squeeze" and first.shape[:1] != (1,)):
            return None
        shape = (1, *first.shape) if op_type == "Unsqueeze" else first.shape[1:]
        return joined(name, first.dtype, shape, pieces_of(first))
    return _sliced(name, first, known, attrs)


def _sliced(name: str, data: Tensor, known: Sequence[np.ndarray | None], attrs: dict[str, Any]) -> Tensor | None:
    given = [None if array is None else tuple(array.reshape(-1).tolist()) for array in known[1:]]
    given += [attrs.get("starts"), attrs.get("ends"), attrs.get("axes"), None][len(given) :]
    starts, ends, axes, steps = given[:4]
    if not data.shape or starts is None or ends is None or len(starts) != 1 or len(ends) != 1:
        return None
    if axes not in (None, (0,), (-len(data.shape),)) or steps not in (None, (1,)):
        return None
    start, stop, _ = slice(starts[0], ends[0]).indices(data.shape[0])
    row = prod(data.shape[1:])
    parts = _cut(pieces_of(data), start * row, max(stop, start) * row)
    return joined(name, data.dtype, (max(stop - start, 0), *data.shape[1:]), parts)


def recurrent_moves(graph: GraphProto) -> set[int]:
    """Positions of the nodes that do nothing but arrange stored weights for recurrent nodes."""
    if not any(node.op_type in _RECURRENT for node in graph.node):
        return set()
    maker: dict[str, int] = {}
    readers: dict[str, set[int]] = {}
    weights: set[str] = set()
    for position, node in enumerate(graph.node):
        for output in node.output:
            maker[output] = position
        for slot, name in enumerate(node.input):
            readers.setdefault(name, set()).add(position)
            if node.op_type in _RECURRENT and slot in (1, 2, 3):
                weights.add(name)
    if not weights:
        return set()
    found: set[int] = set()
    ends = {position for position, node in enumerate(graph.node) if node.op_type in _RECURRENT}
    waiting = list(weights)
    while waiting:
        at = maker.get(waiting.pop())
        if at is None or at in found or graph.node[at].op_type not in MOVES:
            continue
        found.add(at)
        waiting += graph.node[at].input
    kept = {value.name for value in graph.output}
    while True:
        leaking = {
            at
            for at in found
            for name in graph.node[at].output
            if name in kept or not readers.get(name, set()) <= found | ends
        }
        if not leaking:
            return found
        found -= leaking


def _cut(parts: Sequence[Piece], start: int, stop: int) -> list[Piece]:
    found, offset = [], 0
    for piece in parts:
        size = piece.stop - piece.start
        low, high = max(start - offset, 0), min(stop - offset, size)
        if low < high:
            found.append(Piece(piece.tensor, piece.start + low, piece.start + high))
        offset += size
    return found


def _source(piece: Piece, shape: tuple[int, ...] | None) -> TensorSource | None:
    tensor, count = piece.tensor, piece.stop - piece.start
    shape = shape if shape is not None else (count,)
    if tensor.fill is not None:
        return FilledSource(tensor.fill, tensor.dtype, shape)
    kind = STORAGE_TYPES.get(tensor.dtype)
    if tensor.stored is None or kind is None or kind.packed:
        whole = tensor.source()
        return whole.part(piece.start, piece.stop) if whole is not None and hasattr(whole, "part") else None
    return ArraySource(tensor.stored().view(kind.storage)[piece.start : piece.stop], tensor.dtype, shape)
