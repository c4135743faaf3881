"""The index of a sharded checkpoint: which file beside it holds which tensor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from initadvisor.errors import FormatError, LimitError, UnsafeError, first_line
from initadvisor.frontends.options import LoadOptions

MAX_INDEX_BYTES = 32 << 20
"""A larger index is refused: one of 100,000 tensors has about 10 MB."""

MAX_BRACKETS = 10_000
"""An index nests two objects; thousands of brackets are a file built to fill the memory of a parser."""


def read(file: Path, options: LoadOptions) -> dict[Path, set[str]]:
    """The names of the tensors by shard, in the order of the index.

    Raises FormatError for anything but a JSON object with a `weight_map` of strings, UnsafeError for a shard that is
    not a plain name beside the index, or a link where links are not allowed.
    """
    if file.stat().st_size > MAX_INDEX_BYTES:
        raise LimitError(f"the index {file} has {file.stat().st_size} bytes; at most {MAX_INDEX_BYTES} are read")
    text = file.read_bytes()
    if text.count(b"{") + text.count(b"[") > MAX_BRACKETS:
        raise LimitError(f"the index {file} nests more than {MAX_BRACKETS} objects: it is no shard index")
    try:
        held: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the index {file} is not JSON: {first_line(error)}") from None
    table = held.get("weight_map") if isinstance(held, dict) else None
    if not isinstance(table, dict) or not all(isinstance(shard, str) for shard in table.values()):
        raise FormatError(f"the index {file} has no weight_map from tensor names to file names")
    shards: dict[Path, set[str]] = {}
    plain: dict[str, Path] = {}
    for name, shard in table.items():
        if shard not in plain:
            plain[shard] = _beside(file, shard, options)
        shards.setdefault(plain[shard], set()).add(name)
    return shards


def _beside(index: Path, shard: str, options: LoadOptions) -> Path:
    if shard in ("", ".", "..") or "\0" in shard or any(mark in shard for mark in "/\\"):
        raise UnsafeError(f"the index {index} names the shard {shard!r}: only plain file names beside it are read")
    path = index.parent / shard
    if path.is_symlink() and not options.allow_external_symlinks:
        raise UnsafeError(
            f"the shard {path} is a symbolic link",
            hint="allow links for a download cache that you trust: --allow-external-symlinks",
        )
    return path
