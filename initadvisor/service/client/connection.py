"""One request and its answer, on the standard library: bodies streamed, answers bounded, refusals as errors."""

from __future__ import annotations

import http.client
import json
import selectors
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlencode

from initadvisor.errors import ServiceError
from initadvisor.report.escape import visible
from initadvisor.service.client.address import Address

MAX_ANSWER = 512 << 20
"""Bytes of an answer that are read; as many as a report may have."""

_BLOCK = 1 << 18
_LARGE = 4 << 20
_PAUSE = 0.25
"""Seconds in which a service may refuse a large body before it is sent."""
_LONGEST = 1000
_WAIT = 3600.0

Sent = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: a file that is open for reading, and how many bytes of it. sent: told how many went out so far."""

    file: BinaryIO
    size: int
    kind: str
    sent: Sent | None = None


def ask(
    address: Address,
    method: str,
    path: str,
    query: Mapping[str, object] | None = None,
    body: Body | None = None,
    *,
    seconds: float = 60.0,
) -> bytes:
    """The body of a good answer; raises ServiceError for a refusal, and where the service cannot be reached.

    seconds: how long the service may say nothing.
    """
    asked = urlencode({k: v for k, v in (query or {}).items() if v is not None and v != ()}, doseq=True)
    target = f"{address.path}{path}{f'?{asked}' if asked else ''}"
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    link = kind(address.host, address.port, timeout=seconds, blocksize=_BLOCK)
    try:
        return _exchange(link, address, method, target, body)
    except ServiceError:
        raise
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or error
        raise ServiceError(f"no secure connection to {address}: {reason}") from error
    except http.client.IncompleteRead as error:
        raise ServiceError(f"the service at {address} broke off its answer") from error
    except http.client.HTTPException as error:
        if not isinstance(error, http.client.RemoteDisconnected):
            raise ServiceError(
                f"what listens at {address} does not answer as a service does", hint="is the address right?"
            ) from error
        raise ServiceError(f"the service at {address} cannot be reached: it hung up without an answer") from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise ServiceError(
            f"the service at {address} cannot be reached: {visible(str(reason), 200)}",
            hint="is it running, and is the address right?",
        ) from error
    finally:
        link.close()


def _exchange(link: http.client.HTTPConnection, address: Address, method: str, target: str, body: Body | None) -> bytes:
    link.connect()
    broken: OSError | None = None
    try:
        link.putrequest(method, target, skip_accept_encoding=True)
        link.putheader("Accept", "application/json")
        link.putheader("User-Agent", "initadvisor")
        if address.token is not None:
            link.putheader("Authorization", f"Bearer {address.token}")
        if body is not None:
            link.putheader("Content-Type", body.kind)
        if body is not None or method == "POST":
            link.putheader("Content-Length", str(body.size if body else 0))
        link.endheaders()
        if body is not None:
            _send(link, body)
    except (BrokenPipeError, ConnectionResetError) as error:
        broken = error  # it may have said why before it hung up
    try:
        answer = link.getresponse()
        content = _content(answer)
    except (OSError, http.client.HTTPException) as error:
        if broken is None:
            raise
        raise ServiceError(
            f"the service at {address} ended the upload without an answer", hint="is the file larger than it takes?"
        ) from error
    if not 200 <= answer.status < 300:
        raise refusal(address, answer.status, answer.headers, content)
    if len(content) > MAX_ANSWER:
        raise ServiceError(f"the answer of {address} is longer than {MAX_ANSWER >> 20} MiB")
    return content


def _content(answer: http.client.HTTPResponse) -> bytes:
    content = bytearray()
    while len(content) <= MAX_ANSWER and (block := answer.read(_BLOCK)):
        content += block
    if answer.length and len(content) <= MAX_ANSWER:  # bytes that were announced and did not come
        raise http.client.IncompleteRead(bytes(content), answer.length)
    return bytes(content)


def _send(link: http.client.HTTPConnection, body: Body) -> None:
    left = body.size
    while left:
        # A refusal comes before the body is through; what TLS says to itself looks the same, so it is asked plain only.
        if not isinstance(link.sock, ssl.SSLSocket):
            patience = _PAUSE if left == body.size > _LARGE else 0.0
            if _answered(link, patience):
                return
        try:
            block = body.file.read(min(_BLOCK, left))
        except OSError as error:
            raise ServiceError(f"the file cannot be read: {error.strerror or error}") from error
        if not block:
            raise ServiceError("the file became shorter while it was sent")
        link.send(block)
        left -= len(block)
        if body.sent is not None:
            body.sent(body.size - left)


def _answered(link: http.client.HTTPConnection, seconds: float) -> bool:
    """Whether the service says something already."""
    with selectors.DefaultSelector() as selector:
        selector.register(link.sock, selectors.EVENT_READ)
        return bool(selector.select(seconds))


_HINTS = {
    401: "give the token of the service: INITADVISOR_TOKEN, or --token-env NAME",
    413: "the service was started with a lower --max-upload",
    421: "the service has to be started with --allowed-host for this name",
    429: "try again later, or give the service more --workers",
}


def refusal(address: Address, status: int, headers: http.client.HTTPMessage, content: bytes) -> ServiceError:
    """The error of an answer that is not a good one: what the problem says, else its status. All of it is hostile."""
    detail, kind = "", ""
    try:
        told = json.loads(content[: 1 << 20])
        if isinstance(told, dict) and isinstance(told.get("status"), int):
            detail = str(told.get("detail") or told.get("title") or "")
            kind = str(told.get("type", "")).rpartition(":")[2]
    except ValueError:
        pass
    detail = visible(detail, _LONGEST) or f"HTTP status {status}"
    refused = "does not take the token" if status == 401 and address.token else f"refuses: {detail}"
    if 300 <= status < 400:
        refused = f"answers with a redirection (HTTP status {status}), which is not followed"
    return ServiceError(
        f"the service at {address} {refused}",
        hint=_HINTS.get(status),
        status=status,
        kind=visible(kind, 40),
        retry_after=_seconds(headers.get("Retry-After")),
    )


def _seconds(text: str | None) -> float | None:
    """What Retry-After says, where it is a number of seconds, within reason."""
    return min(float(text), _WAIT) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
