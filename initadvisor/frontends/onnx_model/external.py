"""External data: tensors that lie in files beside the model, opened only where the model has a right to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from initadvisor.errors import FormatError, LimitError, LoadError, NotFoundError, UnsafeError
from initadvisor.frontends.onnx_model.document import map_handle
from initadvisor.frontends.onnx_model.text import shown
from initadvisor.frontends.options import LoadOptions


class ExternalFiles:
    """The files beside one model, mapped at first use.

    A location is a relative path inside the model's folder, without `..`. Symbolic and hard links are refused: both
    can show a file from outside the folder. `LoadOptions.allow_external_symlinks` lifts that for download caches.
    """

    def __init__(self, folder: Path, options: LoadOptions) -> None:
        self._folder = folder
        self._options = options
        self._mapped: dict[str, np.ndarray] = {}

    def slice(self, name: str, entries: dict[str, str], nbytes: int) -> np.ndarray:
        """The `nbytes` bytes of tensor `name`, which its external_data `entries` point at, as a view of the file.

        Raises UnsafeError (outside the folder, a link), NotFoundError, FormatError or LimitError (past the end).
        """
        location = entries.get("location", "")
        offset = _number(name, "offset", entries.get("offset"))
        length = _number(name, "length", entries.get("length"))
        if length and length != nbytes:
            raise FormatError(
                f"tensor {shown(name)} needs {nbytes:,} bytes by its shape; its external data declares {length:,}"
            )
        parts = _parts(name, location)
        if nbytes == 0:
            return np.empty(0, np.uint8)
        if location not in self._mapped:
            self._mapped[location] = self._map(name, location, parts)
        data = self._mapped[location]
        if offset + nbytes > data.size:
            span = f"bytes {offset:,} to {offset + nbytes:,}"
            raise LimitError(
                f"tensor {shown(name)} needs {span} of {shown(location)}, which has {data.size:,}",
                hint="the external data is truncated or belongs to another model",
            )
        return data[offset : offset + nbytes]

    def _map(self, name: str, location: str, parts: tuple[str, ...]) -> np.ndarray:
        try:
            handle = self._open(name, location, parts)
        except FileNotFoundError:
            raise NotFoundError(
                f"external data {shown(location)} of tensor {shown(name)} is not in {self._folder}",
                hint="copy the data file beside the model",
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LoadError(
                f"external data {shown(location)} of tensor {shown(name)} cannot be opened: {reason}"
            ) from None
        try:
            status = os.fstat(handle)
            linked = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
            if linked and not self._options.allow_external_symlinks:
                raise UnsafeError(
                    f"external data {shown(location)} of tensor {shown(name)} is a hard link", hint=_ALLOW
                )
            return map_handle(handle, f"external data {shown(location)}", self._options.max_bytes)
        finally:
            os.close(handle)

    def _open(self, name: str, location: str, parts: tuple[str, ...]) -> int:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if self._options.allow_external_symlinks:
            return os.open(self._folder.joinpath(*parts), flags)
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            return self._open_checked(name, location, parts, flags)
        # Each step is opened relative to the one before and never through a link, so that nothing can be swapped
        # between a check and the opening.
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        for part in parts:
            try:
                inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=handle)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.EMLINK):
                    raise _link(name, location) from None
                raise
            finally:
                os.close(handle)
            handle = inner
        return handle

    def _open_checked(self, name: str, location: str, parts: tuple[str, ...], flags: int) -> int:
        path = self._folder
        for part in parts:
            path = path / part
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise _link(name, location)
        if self._folder.resolve() not in path.resolve().parents:
            raise _link(name, location)
        return os.open(path, flags)


_ALLOW = "allow links explicitly if the model comes from a download cache that you trust"


def _link(name: str, location: str) -> UnsafeError:
    return UnsafeError(
        f"external data {shown(location)} of tensor {shown(name)} is reached through a symbolic link", hint=_ALLOW
    )


def _parts(name: str, location: str) -> tuple[str, ...]:
    """The components of a location that stays inside the folder, read as both POSIX and Windows would read it."""
    if not location or "\0" in location:
        raise FormatError(f"tensor {shown(name)} names no usable file for its external data")
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    if posix.is_absolute() or windows.drive or windows.root:
        raise UnsafeError(f"external data {shown(location)} of tensor {shown(name)} is an absolute path")
    if ".." in posix.parts or ".." in windows.parts:
        raise UnsafeError(f"external data {shown(location)} of tensor {shown(name)} leaves the model's folder")
    if not posix.parts:
        raise FormatError(f"external data {shown(location)} of tensor {shown(name)} is not a file")
    return posix.parts


def _number(name: str, what: str, text: str | None) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise FormatError(f"external data of tensor {shown(name)}: {what} {text!r} is not a number of bytes")
    return int(text)
