"""A checkpoint file, of whichever format its first bytes tell, becomes a `Graph` of parameters without edges."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from initadvisor.errors import FormatError, LimitError, NotFoundError
from initadvisor.frontends.checkpoint import index_file, safetensors_file, torch_file
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Coverage, Event, Graph, Parameter

_PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


def load(path: str | os.PathLike[str], options: LoadOptions | None = None) -> Graph:
    """Read a state dict; a sharded one through its `*.index.json`.

    Raises NotFoundError, FormatError (damaged, or not what its name says), UnsafeError (a pickle that would run
    code, a shard outside the folder), LimitError (more declared than held) and MissingExtraError (`.pt` without torch).
    """
    file, options = Path(path), options or LoadOptions()
    check_regular(file, options)
    with file.open("rb") as handle:
        start = handle.read(9)
    events: list[Event] = []
    if file.name.endswith(".index.json"):
        parameters = _sharded(file, options, events)
    else:
        parameters = _single(file, start, options, events)
    if not parameters:
        raise FormatError(f"{file} holds no tensors")
    return Graph(
        target=str(file),
        source="checkpoint",
        parameters=parameters,
        coverage=Coverage(
            capture="state dict",
            notes=[
                "a state dict has no graph: give package.module:factory or an ONNX file to have gains and signal judged"
            ],
        ),
        events=events,
        edges=False,
    )


def check_regular(file: Path, options: LoadOptions) -> None:
    """Raise unless `file` is an ordinary, non-empty file within the size limit: pipes and devices would hang."""
    try:
        found = file.stat()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except (OSError, ValueError) as error:
        raise NotFoundError(f"{file} cannot be opened: {error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise FormatError(f"{file} is not a regular file")
    if found.st_size == 0:
        raise FormatError(f"{file} is empty")
    if found.st_size > options.max_bytes:
        raise LimitError(f"{file} has {found.st_size} bytes, more than the {options.max_bytes} that may be read")


def _single(file: Path, start: bytes, options: LoadOptions, events: list[Event]) -> dict[str, Parameter]:
    if start.startswith(_PICKLE_STARTS) and start[8:9] != b"{":
        if file.suffix == ".safetensors":
            raise FormatError(f"{file} is a pickle under the name of a safetensors file", hint="name it .pt to read it")
        return torch_file.read(file, options, events)
    if file.suffix in (".pt", ".pth", ".bin", ".ckpt", ".tar") and start[8:9] != b"{":
        raise FormatError(f"{file} is neither a torch zip archive nor a pickle: truncated, or another kind of file")
    return safetensors_file.read(file, events)


def _sharded(file: Path, options: LoadOptions, events: list[Event]) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for shard, names in index_file.read(file, options).items():
        check_regular(shard, options)
        with shard.open("rb") as handle:
            held = _single(shard, handle.read(9), options, events)
        missing = [name for name in names if name not in held]
        if missing:
            events.append(
                Event(
                    "missing tensor",
                    f"{len(missing)} tensors that the index puts here are absent: {missing[0]!r} ...",
                    where=shard.name,
                )
            )
        extra = [name for name in held if name not in names]
        if extra:
            events.append(
                Event(
                    "unlisted tensor",
                    f"{len(extra)} tensors here are not in the index: {extra[0]!r} ...",
                    where=shard.name,
                )
            )
        parameters.update(held)
    return parameters
