"""The application: the API, the pages, the guard around both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from initadvisor import __version__
from initadvisor.service import problems
from initadvisor.service.api import checks, health, reports, rules
from initadvisor.service.guard import Guard
from initadvisor.service.service import Service
from initadvisor.service.web import pages

_ABOUT = """Checks of the state that a neural network is in before training.

Give a file to `POST /v1/checks`, follow the Location that comes back until the status is `done` or `failed`, and read
the report. Errors are problem details (RFC 9457)."""


def create_app(service: Service) -> FastAPI:
    """The application over an open service; it closes the service when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        supervising = asyncio.create_task(service.supervisor.run())
        try:
            yield
        finally:
            supervising.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervising
            service.close()

    app = FastAPI(
        title="initadvisor",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    problems.install(app)
    for router in (checks.router, reports.router, rules.router, health.router, pages.router):
        app.include_router(router)
    app.add_middleware(Guard, settings=service.settings, access=service.access, measures=service.measures)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI document: the shape of problems, the JSON body, the token, what any call may answer."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        parts = document.setdefault("components", {}).setdefault("schemas", {})
        parts["ProblemDetails"] = problems.ProblemDetails.model_json_schema()
        parts["ReferenceRequest"] = checks.reference_schema()
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in document["paths"].values():
            for call in path.values():
                call["responses"] |= {str(k): v for k, v in problems.documented(401, 403, 421, 500, 503).items()}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
