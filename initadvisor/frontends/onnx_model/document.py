"""Opening a model file: what it is and how large is asked first, the weights stay in the file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initadvisor.errors import FormatError, LimitError, LoadError, NotFoundError, UnsafeError
from initadvisor.frontends.onnx_model.parsing import parse
from initadvisor.frontends.onnx_model.wire import Payloads, skeleton
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    from onnx import ModelProto

_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the model itself", "run `git lfs pull`"),
    (b"PK\x03\x04", "a ZIP archive", "torch checkpoints are read as .pt or .pt2"),
    (b"\x80\x02", "a Python pickle", "torch checkpoints are read as .pt"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x89HDF", "an HDF5 file", "convert the model to ONNX first"),
    (b"ORTM", "an ORT format file", "check the ONNX file that it was made from"),
    (b"TFL3", "a TFLite file", "convert the model to ONNX first"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """An open model file: the parsed message without its large payloads, and the bytes where those lie."""

    path: Path
    model: ModelProto
    payloads: Payloads
    data: np.ndarray


def open_document(path: Path, options: LoadOptions) -> Document:
    """Read the message of an ONNX file and map the file into memory.

    Raises NotFoundError, UnsafeError (a device or a pipe), LimitError (too large) or FormatError (not ONNX, damaged).
    """
    data = map_file(path, options.max_bytes)
    head = data[:32].tobytes()
    for signature, what, hint in _SIGNATURES:
        if head.startswith(signature) or head[4:].startswith(signature):
            raise FormatError(f"{path} is {what}", hint=hint)
    try:
        message, payloads = skeleton(data.data)
        model = parse(message)
    except LoadError as error:
        reason = "it looks like text" if _is_text(data) else error.message
        raise type(error)(f"{path} cannot be read as an ONNX model: {reason}", hint=error.hint) from None
    if not model.HasField("graph") or not (model.ir_version or model.opset_import):
        raise FormatError(f"{path} cannot be read as an ONNX model: it holds no graph or no version")
    return Document(path, model, payloads, data)


def map_file(path: Path, limit: int) -> np.ndarray:
    """The bytes of a regular file as a read-only memory map.

    Raises NotFoundError, UnsafeError where it is no regular file, LimitError above `limit`, FormatError where empty.
    """
    try:
        # O_NONBLOCK: opening a named pipe would otherwise wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    try:
        return map_handle(handle, str(path), limit)
    finally:
        os.close(handle)


def map_handle(handle: int, name: str, limit: int) -> np.ndarray:
    """As `map_file`, of an open file descriptor that stays the caller's; `name` is for messages."""
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        raise FormatError(f"{name} is a directory", hint="name the .onnx file in it")
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeError(f"{name} is a device, a pipe or a socket; only regular files are read")
    if status.st_size == 0:
        raise FormatError(f"{name} is empty (0 bytes)")
    if status.st_size > limit:
        raise LimitError(f"{name} has {status.st_size:,} bytes, more than the limit of {limit:,}")
    import mmap

    try:
        memory = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise LoadError(f"{name} cannot be mapped into memory: {error}") from None
    return np.frombuffer(memory, np.uint8)


def _is_text(data: np.ndarray) -> bool:
    head = data[:512].tobytes()
    try:
        text = head.decode("utf-8", "strict" if len(data) < 512 else "ignore")
    except UnicodeDecodeError:
        return False
    return sum(c.isprintable() or c.isspace() for c in text) > 0.95 * max(len(head), 1)
