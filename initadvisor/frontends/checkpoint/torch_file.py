"""`.pt`, `.pth`, `.bin`: torch archives, read with `weights_only` and nothing else unless the user asked for more.

torch is imported here and only when such a file is met.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from initadvisor.errors import FormatError, LimitError, MissingExtraError, TargetCodeError, UnsafeError, first_line
from initadvisor.frontends.checkpoint.pickle_scan import forbidden
from initadvisor.frontends.checkpoint.safetensors_file import is_buffer
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Event, Parameter

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "params", "weights")
"""Keys under which training scripts keep the weights beside optimizer state, in the order of preference."""

MAX_PICKLE_BYTES = 256 << 20
"""Bytes of pickle (the description, without the tensors) that are parsed."""

MAX_SCANNED_BYTES = 8 << 20
"""Bytes of an old-style pickle, which holds its tensors too, that are scanned for names."""

MAX_DEPTH = 8
MAX_ENTRIES = 300_000

_GLOBAL = re.compile(r"(?:GLOBAL|class)\s+`?(\w+(?:\.\w+)+)")
_REFUSED = re.compile(r"unsupported (?:global|class|operand|instruction)|weights.only load failed.*global", re.I | re.S)


def read(file: Path, options: LoadOptions, events: list[Event]) -> dict[str, Parameter]:
    """The tensors of a torch archive by dotted name.

    Raises UnsafeError for a pickle that would run code and for TorchScript, FormatError for a damaged file, LimitError
    for an archive that unpacks to more than it holds, MissingExtraError where torch is not installed.
    """
    zipped = _check_archive(file)
    if not options.allow_pickle and "torch" not in sys.modules:
        _refuse_early(file, zipped)
    held = _torch_load(file, zipped, options)
    if callable(getattr(held, "state_dict", None)):
        held = held.state_dict()
    return _parameters(file, held, events)


def _check_archive(file: Path) -> bool:
    """Whether the file is a zip archive; raises where it holds code, is damaged, or unpacks to more than it holds."""
    with file.open("rb") as handle:
        if handle.read(4) != b"PK\x03\x04":
            if file.stat().st_size > MAX_PICKLE_BYTES * 16:
                raise LimitError(
                    f"{file} is an old-style pickle of {file.stat().st_size} bytes, too large to read safely"
                )
            return False
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RecursionError) as error:
        raise FormatError(f"{file} is a damaged or truncated torch archive: {first_line(error)}") from None
    if any(m.compress_type != zipfile.ZIP_STORED for m in members) or (
        sum(m.file_size for m in members) > file.stat().st_size
    ):
        raise LimitError(f"{file}: the archive unpacks to more than it holds; torch stores tensors uncompressed")
    names = [m.filename.partition("/")[2] for m in members]
    if any(n.startswith("code/") or n == "constants.pkl" for n in names):
        raise UnsafeError(
            f"{file} is a TorchScript archive, which carries code", hint="save model.state_dict() and check that"
        )
    if "data.pkl" not in names:
        raise FormatError(f"{file} is a zip archive without data.pkl: not a torch checkpoint")
    if any(m.file_size > MAX_PICKLE_BYTES for m, n in zip(members, names, strict=True) if n == "data.pkl"):
        raise LimitError(f"{file}: data.pkl has more than {MAX_PICKLE_BYTES} bytes")
    return True


def _refuse_early(file: Path, zipped: bool) -> None:
    """Refuse what torch would refuse anyway, before it is imported."""
    if zipped:
        try:
            with zipfile.ZipFile(file) as archive:
                data = archive.read(next(n for n in archive.namelist() if n.partition("/")[2] == "data.pkl"))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise FormatError(f"{file} is a damaged torch archive: {first_line(error)}") from None
    else:
        with file.open("rb") as handle:
            data = handle.read(MAX_SCANNED_BYTES)
    try:
        found = forbidden(data)
    except FormatError as error:
        raise FormatError(f"{file} cannot be read as a torch checkpoint: {error.message}") from None
    if found is not None:
        raise _unsafe(file, f"would run code ({found})")


def _unsafe(file: Path, what: str) -> UnsafeError:
    return UnsafeError(
        f"{file}: the pickle {what}; nothing was executed",
        hint="save model.state_dict(), or use --allow-pickle if you trust whoever made the file",
    )


def _torch_load(file: Path, zipped: bool, options: LoadOptions) -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(f"reading {file.name}", "torch") from None
    if options.allow_pickle:
        try:
            return torch.load(file, map_location="cpu", weights_only=False, mmap=zipped)
        except Exception as error:
            raise TargetCodeError(
                f"{file} was unpickled with its code, as asked, and failed: {first_line(error)}"
            ) from error
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise LimitError(f"{file} asks for more memory than there is") from None
    except Exception as error:
        text = str(error)
        if _REFUSED.search(text):
            found = _GLOBAL.search(text)
            what = f"would run code ({found[1]})" if found else "asks for something other than tensors"
            raise _unsafe(file, what) from None
        raise FormatError(f"{file} cannot be read as a torch checkpoint: {first_line(error)}") from None


def _parameters(file: Path, held: Any, events: list[Event]) -> dict[str, Parameter]:
    import torch

    if isinstance(held, Mapping):
        held = _unwrapped(held, events)
    parameters: dict[str, Parameter] = {}
    first_of: dict[tuple[Any, ...], str] = {}
    aliases: dict[str, list[str]] = defaultdict(list)
    ignored: list[str] = []
    for name, value in _leaves(file, held):
        if not isinstance(value, torch.Tensor):
            ignored.append(name)
            continue
        parameter = _parameter(name, value, events)
        if parameter.source is not None and parameter.size:
            place = (value.data_ptr(), value.dtype, tuple(value.shape), tuple(value.stride()))
            if place in first_of:
                aliases[first_of[place]].append(name)
                continue
            first_of[place] = name
        parameters[name] = parameter
    for name, others in aliases.items():
        parameters[name].aliases = tuple(others)
    if ignored:
        shown = ", ".join(repr(name) for name in ignored[:3])
        events.append(Event("ignored entries", f"{len(ignored)} entries are no tensors: {shown}"))
    return parameters


def _unwrapped(held: Mapping[Any, Any], events: list[Event]) -> Mapping[Any, Any]:
    """The state dict inside a training checkpoint, which keeps it under one of a few keys."""
    import torch

    for _ in range(MAX_DEPTH):
        inner = next(
            (key for key in WRAPPERS if isinstance(held.get(key), Mapping) and held[key]),
            None,
        )
        if inner is None or any(isinstance(value, torch.Tensor) for value in held.values()):
            return held
        others = [str(key) for key in held if key != inner]
        if others:
            shown = ", ".join(repr(key) for key in others[:5])
            events.append(Event("ignored entries", f"read {inner!r}; left out {shown}"))
        held = held[inner]
    return held


def _leaves(file: Path, held: Any) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything inside nested dicts and lists, within limits that a pickle bomb meets."""
    stack: list[tuple[str, Any, int]] = [("", held, 0)]
    seen = 0
    while stack:
        name, value, depth = stack.pop()
        seen += 1
        if seen > MAX_ENTRIES or depth > MAX_DEPTH:
            raise LimitError(
                f"{file} nests or repeats its entries without end: more than {MAX_ENTRIES} or {MAX_DEPTH} deep"
            )
        items: list[tuple[Any, Any]] | None = None
        if isinstance(value, Mapping):
            items = list(value.items())
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            items = list(enumerate(value))
        if items is None:
            yield name or "tensor", value
        else:
            stack.extend((f"{name}.{key}" if name else str(key), inner, depth + 1) for key, inner in reversed(items))


def _parameter(name: str, tensor: Any, events: list[Event]) -> Parameter:
    import torch

    dtype, shape = str(tensor.dtype).removeprefix("torch."), tuple(int(d) for d in tensor.shape)
    source = None
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        events.append(Event("unreadable tensor", f"{tensor.layout}, {tensor.device}, {dtype}: not read", where=name))
    else:
        source = _source(tensor.detach(), dtype)
        if source is None:
            events.append(Event("unreadable dtype", f"elements of type {dtype} are not read", where=name))
    trainable = bool(tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else None
    return Parameter(name, shape, dtype, source, trainable=trainable, buffer=is_buffer(name))


def _source(tensor: Any, dtype: str) -> ArraySource | None:
    import torch

    codes = {1: torch.uint8, 2: torch.uint16}
    try:
        array: np.ndarray = tensor.resolve_conj().resolve_neg().numpy()
    except TypeError:
        # numpy lacks the type: the codes travel as integers of the same width.
        if tensor.element_size() not in codes:
            return None
        array = tensor.view(codes[tensor.element_size()]).numpy()
    try:
        return ArraySource(array, dtype, tuple(tensor.shape))
    except FormatError:
        return None
