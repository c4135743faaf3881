"""Reports of checks, and what two of them differ in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from initadvisor.report.html.page import policy as page_policy
from initadvisor.service import reports
from initadvisor.service.api.checks import CheckId, The, found
from initadvisor.service.negotiation import acceptable, takes_gzip
from initadvisor.service.problems import Problem, documented
from initadvisor.service.schemas import ComparisonView
from initadvisor.service.service import Service
from initadvisor.service.store.tables import Check
from initadvisor.service.views import view

router = APIRouter(prefix="/v1", tags=["reports"])

HTML_POLICY = "sandbox allow-scripts allow-popups allow-downloads; {own}; frame-ancestors 'self'"
"""A report is a page of its own without an origin: whatever it holds, it cannot reach this service."""

Id = Annotated[str, Query(pattern="^[0-9a-f]{32}$")]


@router.get(
    "/checks/{check_id}/report",
    responses={
        200: {"content": {media: {} for media in sorted(set(reports.MEDIA_TYPES.values()))}},
        **documented(404, 406, 409, 422),
    },
    response_class=Response,
)
def report(
    check_id: CheckId,
    request: Request,
    service: The,
    format: Annotated[
        str | None, Query(description="json, sarif, html ...; else Accept decides.", max_length=20)
    ] = None,
) -> Response:
    """The report of a check that is done, in the format that `format` or the Accept header asks for."""
    wanted = _wanted(format, request.headers.get("accept"))
    row = found(service, check_id)
    body = stored(service, row)
    media = reports.MEDIA_TYPES[wanted]
    headers = {"Vary": "Accept, Accept-Encoding"}
    if wanted == "json":
        if takes_gzip(request.headers.get("accept-encoding")):
            return Response(body, headers={**headers, "Content-Encoding": "gzip"}, media_type=media)
        return Response(reports.unpack(body), headers=headers, media_type=media)
    text = reports.rendered(reports.load(body), wanted, service.by_id, service.reasons)
    if wanted == "html":
        headers |= {"Content-Security-Policy": HTML_POLICY.format(own=page_policy()), "X-Frame-Options": "SAMEORIGIN"}
    return Response(text.encode("utf-8", "backslashreplace"), headers=headers, media_type=f"{media}; charset=utf-8")


def _wanted(asked: str | None, accept: str | None) -> str:
    known = reports.formats()
    if asked is not None:
        if asked not in known:
            raise Problem(422, f"{asked!r} is not a format; these are: {', '.join(known)}", kind="format")
        return asked
    offers = {media: name for name, media in reversed(reports.MEDIA_TYPES.items()) if name in known}
    ordered = sorted(offers, key=lambda media: list(reports.MEDIA_TYPES).index(offers[media]))
    media = acceptable(accept, ordered)
    if media is None:
        raise Problem(406, f"a report can be sent as {', '.join(ordered)}", kind="format")
    return offers[media]


def stored(service: Service, row: Check) -> bytes:
    """The packed report of a check; raises Problem where it has none."""
    if row.status in ("queued", "running"):
        raise Problem(409, f"the check is {row.status}", kind="not-ended", headers={"Retry-After": "1"})
    body = service.store.report(row.id) if row.status == "done" else None
    if body is None:
        reason = f": {row.failure_message}" if row.failure_message else ""
        raise Problem(409, f"there is no report, as the check was {row.status}{reason}", kind="no-report")
    return body


@router.get("/compare", response_model=ComparisonView, responses=documented(404, 409, 422))
def compare(a: Id, b: Id, service: The) -> ComparisonView:
    """What came and what went from report `a` to report `b`, and which layers changed."""
    return comparison(service, found(service, a), found(service, b))


def comparison(service: Service, a: Check, b: Check) -> ComparisonView:
    """Two checks side by side; raises Problem where one has no report."""
    one, other = (reports.load(stored(service, row)) for row in (a, b))
    before = {finding.fingerprint for finding in one.findings}
    after = {finding.fingerprint for finding in other.findings}
    return ComparisonView(
        a=view(a),
        b=view(b),
        new=[finding for finding in other.findings if finding.fingerprint not in before],
        gone=[finding for finding in one.findings if finding.fingerprint not in after],
        same=[finding for finding in other.findings if finding.fingerprint in before],
        layers=reports.changed_layers(one, other),
    )
