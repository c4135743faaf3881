"""Where a service is, and what a client says to be let in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from initadvisor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """A service: scheme, host, port, and the path that a proxy puts before its own. The token is in no text of it."""

    scheme: str
    host: str
    port: int | None
    path: str
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{shown}{f':{self.port}' if self.port else ''}{self.path}"

    @property
    def in_the_clear(self) -> bool:
        """Whether others on the way can read the token."""
        if self.token is None or self.scheme == "https" or self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True


def address_of(url: str, token: str | None) -> Address:
    """The parts of `http://host:port/path`; raises UsageError for anything else, and for what is no token."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is not the address of a service: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the address of a service holds no user or password", hint="put a token into INITADVISOR_TOKEN"
        )
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(f"{url!r} is not the address of a service", hint="such as http://127.0.0.1:8765")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url!r} is not the address of a service: it has characters that no address has")
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token is empty or has characters that no token has")
    return Address(parts.scheme, host, port, parts.path.rstrip("/"), token)
