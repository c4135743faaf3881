"""Who may come in: bearer tokens for programs, a signed cookie for browsers, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence

COOKIE = "initadvisor_session"
SESSION_SECONDS = 12 * 3600


class Access:
    """The door. With no token at all it is open, which settings allow on a loopback address alone."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(tokens)
        # Sessions outlive a restart and end when the tokens change; a cookie never holds a token.
        joined = "\0".join(sorted(self._tokens))
        self._key = hashlib.sha256(f"initadvisor session\0{joined}".encode()).digest()

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return not self._tokens

    def token_fits(self, given: str) -> bool:
        """Whether this is one of the tokens; takes as long whichever it is."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        fits = False
        for token in self._tokens:
            fits |= hmac.compare_digest(hashlib.sha256(token.encode()).digest(), digest)
        return fits

    def admits(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Whether a request carries a token, or the cookie of a session."""
        if self.open:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return scheme.lower() == "bearer" and self.token_fits(token.strip())
        return self._session_holds(cookies.get(COOKIE, ""))

    def session(self) -> str:
        """The value of a new cookie."""
        body = f"{int(time.time()) + SESSION_SECONDS}.{secrets.token_hex(16)}"
        return f"{body}.{self._sign(body)}"

    def _session_holds(self, cookie: str) -> bool:
        body, _, signature = cookie.rpartition(".")
        expires = body.partition(".")[0]
        if not cookie.isascii() or not hmac.compare_digest(self._sign(body), signature):
            return False
        return expires.isdecimal() and int(expires) > time.time()

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()
