"""Arrays of .npy and .npz files that others wrote: no pickle is read, no size is believed unchecked."""

from __future__ import annotations

import os
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from initadvisor.errors import FormatError, LimitError, UnsafeError, first_line

MAX_BYTES = 1 << 30
"""Of what is read of one array: it lies in memory."""

MAX_HEADER = 10_000
"""Bytes of the description of an array; numpy's own bound."""

MAX_RANK = 8
MAX_ARRAYS = 64
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, TypeError)
"""What the libraries raise on a file that is not sound."""


def read_npy(path: Path, most: int) -> np.ndarray:
    """The first `most` rows of the array in an .npy file; raises like `read_npz`."""
    try:
        with path.open("rb") as file:
            return _rows(str(path), file, os.fstat(file.fileno()).st_size, most)
    except DAMAGED as error:
        raise FormatError(f"{path} cannot be read as an .npy file: {first_line(error)}") from error


def read_npz(path: Path, most: int) -> dict[str, np.ndarray]:
    """The first `most` rows of every array in an .npz file, by name.

    Raises FormatError where the file is damaged, UnsafeError for pickled objects, LimitError for an array that
    declares more than it holds, or whose rows are more than fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(members) > MAX_ARRAYS:
                raise LimitError(f"{path} holds {len(members)} arrays; at most {MAX_ARRAYS} are read")
            found = {}
            for info in members:
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as file:
                    found[name] = _rows(f"{path}: {name}", file, info.file_size, most)
            return found
    except DAMAGED as error:
        raise FormatError(f"{path} cannot be read as an .npz file: {first_line(error)}") from error


def _rows(label: str, file: IO[bytes], size: int, most: int) -> np.ndarray:
    """The rows in front; a file in Fortran order has to be read as a whole."""
    shape, fortran, dtype = judged_header(label, file, size)
    kept = (min(most, shape[0]), *shape[1:]) if shape else ()
    wanted = shape if fortran else kept
    count = prod(wanted)
    if count * dtype.itemsize > MAX_BYTES:
        raise LimitError(
            f"{label}: {count * dtype.itemsize} bytes would be read; at most {MAX_BYTES} are", hint="fewer --samples"
        )
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise LimitError(f"{label} of shape {list(shape)} ends after {len(data)} bytes")
    array = np.frombuffer(data, dtype, count).reshape(wanted, order="F" if fortran else "C")
    return (array[: kept[0]] if kept else array).astype(dtype.newbyteorder("="))


def judged_header(label: str, file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and type of an array in a file of so many bytes, of which the elements follow.

    Raises UnsafeError for pickled objects, FormatError for what are no numbers, LimitError where the elements are not
    as many as the header says.
    """
    shape, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise UnsafeError(f"{label} holds pickled Python objects, which run code when they are read")
    if dtype.kind not in "biuf":
        raise FormatError(f"{label} has elements of type {dtype}, which are no numbers")
    if len(shape) > MAX_RANK or any(each < 0 for each in shape):
        raise FormatError(f"{label} has the shape {list(shape)}")
    needed, here = prod(shape) * dtype.itemsize, size - file.tell()
    if needed != here:
        raise LimitError(f"{label} of shape {list(shape)} ({dtype}) needs {needed} bytes and has {here}")
    return shape, fortran, dtype


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"arrays of the format {version} are not read")
    try:
        shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
    except Exception as error:  # numpy parses the header as Python source: whatever its parser raises
        raise ValueError(f"an array's header cannot be parsed ({type(error).__name__})") from error
    return tuple(int(each) for each in shape), bool(fortran), dtype
