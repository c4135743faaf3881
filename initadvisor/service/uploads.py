"""A raw body, streamed to disk under a cap: never in memory, never longer than allowed, never waited for too long."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from fastapi import Request
from starlette.requests import ClientDisconnect

from initadvisor.service.folders import Folders
from initadvisor.service.problems import Problem
from initadvisor.service.settings import ServiceSettings

_HEAD = 16
_BATCH = 1 << 20
SPARE = 256 << 20
"""Bytes of disk that uploads leave free."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A complete upload, on disk for good: where, how many bytes, its digest, its first bytes."""

    path: Path
    size: int
    sha256: str
    head: bytes


def declared_size(request: Request, limit: int) -> int | None:
    """What Content-Length says, None for a chunked body; raises Problem for more than the limit, and for a coding."""
    if request.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise Problem(415, "a body with a Content-Encoding is not taken: send the file as it is", kind="coding")
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise Problem(400, "the Content-Length is not a number")
    if int(text) > limit:
        raise too_large(limit)
    return int(text)


def too_large(limit: int) -> Problem:
    """The answer to a body over the cap. What is left of it is not read: the connection ends."""
    return Problem(413, f"a body has {limit} bytes at most here", kind="too-large", headers={"Connection": "close"})


def disk_full() -> Problem:
    """The answer where there is no room for a body, or no longer."""
    headers = {"Retry-After": "60", "Connection": "close"}
    return Problem(507, "the disk of the service is full", kind="disk", headers=headers)


async def receive(request: Request, settings: ServiceSettings, folders: Folders) -> Arrived:
    """Stream the body of a request to a file; raises Problem, and leaves nothing, where it is too long or too slow."""
    size = declared_size(request, settings.max_upload)
    if folders.free() < (size or 0) + SPARE:
        raise disk_full()
    path = folders.arriving / secrets.token_hex(16)
    try:
        return await _stream(request, settings, folders, path, size)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise


async def _stream(
    request: Request, settings: ServiceSettings, folders: Folders, path: Path, declared: int | None
) -> Arrived:
    digest, total, head = hashlib.sha256(), 0, b""
    latest = monotonic() + settings.upload_seconds
    batch = bytearray()
    pieces = request.stream()
    with path.open("xb", buffering=0) as file:
        while True:
            patience = min(settings.idle_seconds, latest - monotonic())
            try:
                piece = await asyncio.wait_for(anext(pieces, None), max(patience, 0.0))
            except TimeoutError:
                raise Problem(408, "the body came too slowly", kind="slow", headers={"Connection": "close"}) from None
            except ClientDisconnect:
                raise Problem(400, "the body ended before its declared length", kind="incomplete") from None
            if piece is None:
                break
            total += len(piece)
            if total > settings.max_upload:
                raise too_large(settings.max_upload)
            head = (head + piece[:_HEAD])[:_HEAD]
            batch += piece
            if len(batch) >= _BATCH:
                await asyncio.to_thread(_write, file.fileno(), digest, bytes(batch))
                batch.clear()
                if folders.free() < SPARE:  # others write at the same time, and a chunked body tells no length
                    raise disk_full()
        if declared is not None and total != declared:
            raise Problem(400, "the body is not as long as its Content-Length says", kind="incomplete")
        if not total:
            raise Problem(422, "the body is empty: send the file itself", kind="empty")
        await asyncio.to_thread(_complete, file.fileno(), digest, bytes(batch))
    return Arrived(path, total, digest.hexdigest(), head)


def _write(handle: int, digest: hashlib._Hash, content: bytes) -> None:
    digest.update(content)
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _complete(handle: int, digest: hashlib._Hash, content: bytes) -> None:
    _write(handle, digest, content)
    os.fsync(handle)


async def read_small(request: Request, limit: int, seconds: float) -> bytes:
    """A body that is meant to be short, in memory; raises Problem like `receive`."""
    declared_size(request, limit)
    body = b""
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise Problem(408, "the body came too slowly", kind="slow", headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, "the body ended before its declared length", kind="incomplete") from None
    return body
