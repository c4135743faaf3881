"""What a client accepts (RFC 9110, section 12.5)."""

from __future__ import annotations

from collections.abc import Sequence


def acceptable(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that an Accept header likes best, the earlier of two that it likes alike; None where it takes none."""
    if accept is None or not accept.strip():
        return offers[0]
    ranges = [_weighed(part) for part in accept.split(",")[:50]]
    best, liked = None, 0.0
    for offer in offers:
        # The most specific range that fits an offer decides about it.
        fits = [(specific(range_), q) for range_, q in ranges if _matches(range_, offer)]
        quality = max(fits)[1] if fits else 0.0
        if quality > liked:
            best, liked = offer, quality
    return best


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a body may be sent compressed by gzip."""
    weights = dict(_weighed(part) for part in (accept_encoding or "").split(",")[:50])
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0


def specific(range_: str) -> int:
    """How specific a media range is: `*/*`, `text/*`, `text/html`."""
    return 0 if range_ == "*/*" else 1 if range_.endswith("/*") else 2


def _matches(range_: str, offer: str) -> bool:
    return range_ in ("*/*", offer) or (range_.endswith("/*") and offer.startswith(range_[:-1]))


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return name, 0.0
    return name, 1.0
