"""The pages and their addresses."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from initadvisor.report.html.rule_text import inline, rule_text
from initadvisor.report.text import percent
from initadvisor.service import reports
from initadvisor.service.access import COOKIE, SESSION_SECONDS
from initadvisor.service.api.checks import CheckId, Name, The, found
from initadvisor.service.api.reports import comparison, stored
from initadvisor.service.api.rules import listed as listed_rules
from initadvisor.service.names import label
from initadvisor.service.problems import Problem
from initadvisor.service.schemas import JobStatus
from initadvisor.service.store.checks import STATUSES, Search
from initadvisor.service.uploads import read_small
from initadvisor.service.views import view
from initadvisor.service.web.groups import grouped
from initadvisor.service.web.rendering import assets, page
from initadvisor.service.web.trends import trends

router = APIRouter(include_in_schema=False)

_PER_PAGE = 30
_MAX_LAYERS = 300
_FORM_BYTES = 4096
Page = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A file of the page; its address changes with its content."""
    if name not in assets():
        raise Problem(404, "there is no such file")
    content, kind, tag = assets()[name]
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{tag}"'}
    return Response(content, media_type=kind, headers=headers)


@router.get("/")
def home(
    request: Request,
    service: The,
    q: Name = None,
    model: Name = None,
    status: JobStatus | Literal[""] | None = None,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """Give a file in; what was checked lately; search."""
    search = Search(query=label(q, "q"), model=label(model, "model"), status=status or None)
    rows, total = service.store.find(search, page=number, per_page=_PER_PAGE)

    def address(other: int) -> str:
        asked = {"q": q, "model": model, "status": status, "page": other}
        return f"/?{urlencode({key: value for key, value in asked.items() if value})}"

    return page(
        request,
        "home.html",
        checks=[view(row) for row in rows],
        total=total,
        search=search,
        statuses=STATUSES,
        number=number,
        newer=address(number - 1) if number > 1 else None,
        older=address(number + 1) if number * _PER_PAGE < total else None,
        limit=service.settings.max_upload,
        references=sorted(service.settings.references),
    )


@router.get("/checks/{check_id}")
def check(request: Request, check_id: CheckId, service: The) -> Response:
    """One check: how far it is, or what was found."""
    row = found(service, check_id)
    shown = view(row, service.supervisor.progress(row))
    values: dict[str, Any] = {"check": shown, "report": None, "groups": [], "formats": reports.formats(), "others": []}
    if shown.status == "done":
        report = reports.load(stored(service, row))
        values |= {
            "report": report,
            "groups": grouped(report.findings),
            "why": {rule: inline(text) for rule, text in service.reasons.items()},
            "covered": percent(report.coverage.parameters),
            "others": [view(other) for other in service.store.history(row.model, 30)[::-1] if other.id != row.id],
        }
    return page(request, "check.html", **values)


@router.get("/history")
def history(request: Request, service: The, model: Annotated[str, Query(max_length=200)]) -> Response:
    """A model over its commits."""
    name = label(model, "model") or ""
    checks = [view(row) for row in service.store.history(name)]
    if not checks:
        raise Problem(404, "no check of that model has a report")
    return page(request, "history.html", model=name, checks=checks, trends=trends(checks))


@router.get("/compare")
def compare(request: Request, service: The, a: str, b: str) -> Response:
    """Two reports side by side."""
    both = comparison(service, found(service, a), found(service, b))
    return page(
        request,
        "compare.html",
        compared=both,
        sides=[(name, grouped(getattr(both, name))) for name in ("new", "gone", "same")],
        layers=both.layers[:_MAX_LAYERS],
        more_layers=max(0, len(both.layers) - _MAX_LAYERS),
    )


@router.get("/rules")
def rules(request: Request, service: The) -> Response:
    """All rules."""
    return page(request, "rules.html", rules=[(rule, inline(rule.summary)) for rule in listed_rules(service)])


@router.get("/rules/{rule_id}")
def rule(request: Request, rule_id: Annotated[str, Path(max_length=80)], service: The) -> Response:
    """The page of one rule."""
    known = service.by_id.get(rule_id)
    if known is None:
        raise Problem(404, "there is no rule of that id", kind="no-rule")
    return page(request, "rule.html", rule=known, text=rule_text(known))


@router.get("/login")
def door(request: Request, service: The, next: Annotated[str, Query(max_length=300)] = "/") -> Response:
    """Where a browser gives the token."""
    if service.access.open:
        return RedirectResponse("/", 303)
    return page(request, "login.html", next=_local(next), wrong=False)


@router.post("/login")
async def enter(request: Request, service: The) -> Response:
    """Take the token, give a cookie that scripts cannot read and other sites cannot send."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "this takes the form of the page", kind="media-type")
    body = await read_small(request, _FORM_BYTES, service.settings.idle_seconds)
    form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10) if body.count(b"&") < 10 else {}
    following = _local(form.get("next", ["/"])[0])
    if not service.access.token_fits(form.get("token", [""])[0].strip()):
        return page(request, "login.html", 403, next=following, wrong=True)
    answer = RedirectResponse(following, 303)
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
    answer.set_cookie(
        COOKIE,
        service.access.session(),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=secure,
        path="/",
    )
    return answer


@router.post("/logout")
async def leave() -> Response:
    """Forget the cookie."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _local(address: str) -> str:
    """An address of this site, whatever was asked for: another site's would lead people away after they log in."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
