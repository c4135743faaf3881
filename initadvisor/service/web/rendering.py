"""Templates and the files beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from initadvisor.report import svg
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.html.page import THEME
from initadvisor.service.access import COOKIE
from initadvisor.service.service import service_of

MAX_PROSE = 2000
"""Characters of a message that a page shows."""

_KINDS = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Everything is escaped; an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("initadvisor.service.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, made_of in _FILTERS.items():
        made.filters[name] = made_of
    return made


@lru_cache(maxsize=1)
def assets() -> Mapping[str, tuple[bytes, str, str]]:
    """The static files, all of them, in memory: content, media type, tag. No path of a request reaches the disk."""
    folder = Path(__file__).parent / "static"
    found = {}
    for name, kind in _KINDS.items():
        content = (folder / name).read_bytes()
        if name == "style.css":
            content = (THEME + svg.STYLE).encode() + content
        found[name] = (content, kind, hashlib.sha256(content).hexdigest()[:16])
    return found


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """One page; `values` go to its template."""
    service = service_of(request)
    text = (
        templates()
        .get_template(template)
        .render(
            **values,
            assets={name: f"/static/{name}?v={tag}" for name, (_, _, tag) in assets().items()},
            can_leave=not service.access.open and COOKIE in request.cookies,
        )
    )
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _name(text: str) -> str:
    return visible(text, MAX_NAME)


def _prose(text: str) -> str:
    return visible(text, MAX_PROSE)


_FILTERS: Mapping[str, Callable[..., str]] = {
    "name": _name,
    "prose": _prose,
    "when": _when,
    "size": _size,
    "short": svg.short,
}
