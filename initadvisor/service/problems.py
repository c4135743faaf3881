"""Every error of the API is one shape: problem details, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from initadvisor.errors import InitAdvisorError
from initadvisor.report.escape import visible

_log = logging.getLogger("initadvisor.service")

MEDIA_TYPE = "application/problem+json"
_LONGEST = 1000


class ProblemDetails(BaseModel):
    """What went wrong: a type that programs compare, a title for it, the status, and what is special to this case."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None, description="Which parts of the request are off.")


class Problem(Exception):
    """An answer that says what went wrong. kind: the last part of its `type`, "" where the status says it all."""

    def __init__(self, status: int, detail: str, *, kind: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})


def problem_response(
    status: int,
    detail: str | None = None,
    *,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """The response of a problem; what it quotes of a request cannot steer a terminal."""
    body = ProblemDetails(
        type=f"urn:initadvisor:problem:{kind}" if kind else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=visible(detail, _LONGEST) if detail else None,
        errors=errors,
    )
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=kept, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(InitAdvisorError, _of_input)
    app.add_exception_handler(SQLAlchemyError, _of_database)
    app.add_exception_handler(Exception, _of_defect)


async def _of_problem(request: Request, error: Any) -> Response:
    shown = problem_response(error.status, error.detail, kind=error.kind, headers=error.headers)
    return _for_people(request, shown)


async def _of_http(request: Request, error: Any) -> Response:
    detail = None if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
    return _for_people(request, problem_response(error.status_code, detail, headers=error.headers))


def _for_people(request: Request, shown: Response) -> Response:
    """The same as a page, where a browser asked for one."""
    if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return shown
    from initadvisor.service.web.rendering import page

    problem = ProblemDetails.model_validate_json(bytes(shown.body))
    made = page(request, "problem.html", shown.status_code, problem=problem)
    made.headers.update({k: v for k, v in shown.headers.items() if k not in ("content-type", "content-length")})
    return made


async def _of_validation(request: Request, error: Any) -> Response:
    parts = [
        {
            "where": visible("/".join(str(step) for step in each["loc"]), 100),
            "message": visible(str(each["msg"]), 300),
        }
        for each in error.errors()[:20]
    ]
    shown = problem_response(
        422, "the request is not of the form that this call takes", kind="validation", errors=parts
    )
    return _for_people(request, shown)


async def _of_input(_: Request, error: Any) -> Response:
    return problem_response(422, str(error), kind="input")


async def _of_database(_: Request, error: Any) -> Response:
    _log.error("the database failed: %s", error)
    return problem_response(
        503, "the database does not answer; try again", kind="database", headers={"Retry-After": "5"}
    )


async def _of_defect(_: Request, error: Any) -> Response:
    # The server's log has the traceback; the client gets nothing of it.
    return problem_response(500, "a defect in the service; its log has the details")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about the problems that a call answers with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in statuses
    }
