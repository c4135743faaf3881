"""For those who run the service: alive, ready, measured."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from initadvisor.service.api.checks import The
from initadvisor.service.problems import Problem, documented

router = APIRouter(tags=["operation"])


@router.get("/healthz", response_class=PlainTextResponse)
async def alive() -> str:
    """The process answers."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses=documented(503))
def ready(service: The) -> str:
    """Database and workers are there."""
    try:
        service.store.ping()
    except SQLAlchemyError:
        raise Problem(503, "the database does not answer", kind="database", headers={"Retry-After": "5"}) from None
    if service.supervisor.nurse.problem:
        raise Problem(503, service.supervisor.nurse.problem, kind="workers", headers={"Retry-After": "2"})
    return "ready\n"


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(service: The) -> Response:
    """Prometheus metrics."""
    for status, count in service.store.counts().items():
        service.measures.jobs.labels(status).set(count)
    service.measures.restarts.set(service.supervisor.nurse.restarts)
    return Response(generate_latest(service.measures.registry), media_type=CONTENT_TYPE_LATEST)
