"""How a target is to be read: the one settings record that every frontend takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What may be read and how far.

    input_shapes: shapes of the model's inputs in order, where the caller knows them better than the file.
    example: the example input of a torch model (a tensor, a tuple of arguments, or a dict of keyword arguments).
    meta: build a referenced model on the meta device, without numbers; None decides by the machine's memory.
    allow_pickle: read full pickles, which run code; off by default.
    allow_external_symlinks: follow symbolic and hard links of ONNX external data, as a download cache makes them.
    max_bytes: the largest file that is read at all, weights included, in bytes.
    max_nodes: the most operators that a graph may have after its functions are expanded.
    """

    input_shapes: tuple[tuple[int, ...], ...] | None = None
    example: Any | None = None
    meta: bool | None = None
    allow_pickle: bool = False
    allow_external_symlinks: bool = False
    max_bytes: int = 1 << 42
    max_nodes: int = 250_000
