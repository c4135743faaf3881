"""What every request passes first: the right host, the right origin, a token; and what every response carries."""

from __future__ import annotations

import ipaddress
import re
import socket
from time import perf_counter
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from initadvisor.service.access import Access
from initadvisor.service.measures import Measures
from initadvisor.service.problems import problem_response
from initadvisor.service.settings import ServiceSettings

_PUBLIC = ("/healthz", "/readyz", "/login")
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::\d{1,5})?", re.ASCII)
_SAFE = ("GET", "HEAD", "OPTIONS")

MAX_HEAD, MAX_ADDRESS = 32 << 10, 16 << 10
"""Bytes of all headers, and of path and query."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere, no frame around it. A response with a stricter policy of its own keeps it."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, access: Access, measures: Measures) -> None:
        self._app = app
        self._access = access
        self._measures = measures
        names = ("localhost", settings.host, socket.gethostname(), *settings.allowed_hosts)
        self._hosts = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and watch the response."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is spoken here")
        began, status = perf_counter(), 500

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, receive, guarded)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in (*_SAFE, "POST", "DELETE") else "other"
            self._measures.requests.labels(method, route, str(status)).observe(perf_counter() - began)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
            return problem_response(431, f"the headers have {MAX_HEAD} bytes at most", kind="head")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_ADDRESS:
            return problem_response(414, f"an address has {MAX_ADDRESS} bytes at most", kind="head")
        host = headers.get("host", "")
        if not self._knows(host):
            return problem_response(421, "this service does not answer to that Host", kind="host")
        if scope["method"] not in _SAFE and not _same_origin(headers, host):
            return problem_response(403, "requests that other sites send are refused", kind="cross-origin")
        path = scope["path"]
        if path in _PUBLIC or path.startswith("/static/"):
            return None
        cookies = cookie_parser(headers.get("cookie", ""))
        if self._access.admits(headers, cookies):
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", "") and not path.startswith("/v1/"):
            return RedirectResponse(f"/login?next={quote(path)}", 303)
        return problem_response(
            401, "a token is needed: Authorization: Bearer ...", kind="token", headers={"WWW-Authenticate": "Bearer"}
        )

    def _knows(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = (match[1] or match[2]).lower().rstrip(".")
        # A site can point a name of its own at this machine (DNS rebinding), but not a literal address.
        return name in self._hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether a request comes from this site's own pages or from no page at all."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        # The scheme may differ behind a proxy that ends TLS; the host and port that a browser saw may not.
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # such as an unclosed bracket
        return False
