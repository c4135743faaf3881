"""Arrays `x` and `y` out of a file that others wrote: no pickle is read, no size is believed unchecked."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path

import numpy as np

from initadvisor.errors import FormatError, LimitError, NotFoundError, first_line
from initadvisor.frontends.data_files.numpy_file import DAMAGED, MAX_HEADER, MAX_RANK, judged_header

MAX_BYTES = 1 << 30
"""Of one array: what short runs learn from lies in memory."""

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of an .npz or .safetensors file.

    Raises NotFoundError, FormatError where it is damaged or holds something else, UnsafeError for pickled objects,
    LimitError for more than it holds or than is read.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no data file {path}")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix != ".npz":
        raise FormatError(f"cannot read {path} as data", hint="an .npz or .safetensors file with the arrays x and y")
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive, "x"), _member(path, archive, "y")
    except DAMAGED as error:
        raise FormatError(f"{path} cannot be read as an .npz file: {first_line(error)}") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    known = archive.namelist()
    if f"{name}.npy" not in known:
        listed = ", ".join(sorted(n.removesuffix(".npy") for n in known)[:5]) or "nothing"
        raise FormatError(f"{path} holds no array {name}; it holds {listed}", hint="write np.savez(file, x=..., y=...)")
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > MAX_BYTES + MAX_HEADER:
        raise LimitError(f"{path}: {name} unpacks to {info.file_size} bytes; at most {MAX_BYTES} are read")
    with archive.open(info) as file:
        shape, fortran, dtype = judged_header(f"{path}: {name}", file, info.file_size)
        # The header has been judged; the elements follow as plain numbers.
        array = np.frombuffer(file.read(), dtype, prod(shape))
    return array.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _safetensors(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from initadvisor.frontends.checkpoint.safetensors_file import read

    try:
        held = read(path, [])
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as a .safetensors file: {error}") from error
    found = []
    for name in ("x", "y"):
        tensor = held.get(name)
        if tensor is None or tensor.source is None:
            listed = ", ".join(sorted(held)[:5]) or "nothing"
            raise FormatError(f"{path} holds no readable tensor {name}; it holds {listed}")
        if tensor.dtype not in (*_FLOATS, *_INTEGERS):
            raise FormatError(f"{path}: {name} has elements of type {tensor.dtype}", hint="store floats or integers")
        if prod(tensor.shape) * 8 > MAX_BYTES:
            raise LimitError(f"{path}: {name} of shape {list(tensor.shape)} is too large; at most {MAX_BYTES} bytes")
        if len(tensor.shape) > MAX_RANK:
            raise FormatError(f"{path}: {name} has the shape {list(tensor.shape)}")
        raw = tensor.source.raw() if tensor.dtype in _INTEGERS else None
        flat = np.array(raw) if raw is not None else np.concatenate([*tensor.source.chunks(1 << 20), np.zeros(0, "f4")])
        found.append(flat.reshape(tensor.shape))
    return found[0], found[1]
