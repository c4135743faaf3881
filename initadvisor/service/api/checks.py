"""Checks: give one in, follow it, list, cancel, delete."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from initadvisor.service.names import file_name, label
from initadvisor.service.problems import Problem, documented
from initadvisor.service.schemas import CheckList, CheckView, JobStatus
from initadvisor.service.service import Service, the_service
from initadvisor.service.store.checks import QueueFull, Search, new_id, now
from initadvisor.service.store.tables import Check
from initadvisor.service.uploads import read_small, receive
from initadvisor.service.views import view

router = APIRouter(prefix="/v1/checks", tags=["checks"])

CheckId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The id of a check.")]
The = Annotated[Service, Depends(the_service)]
Name = Annotated[str | None, Query(max_length=200)]
Names = Annotated[list[Annotated[str, Field(max_length=80)]], Query(max_length=50)]

_JSON_LIMIT = 1 << 16
_SHAPE = re.compile(r"[0-9]{1,9}(x[0-9]{1,9}){0,9}")


class ReferenceRequest(BaseModel):
    """A model that the server's settings have registered."""

    model_config = ConfigDict(extra="forbid")

    reference: str = Field(max_length=200)


_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": {"$ref": "#/components/schemas/ReferenceRequest"}},
    },
}


@router.post(
    "",
    status_code=202,
    response_model=CheckView,
    responses=documented(400, 408, 413, 415, 422, 429, 507),
    openapi_extra={"requestBody": _BODY},
)
async def give(
    request: Request,
    response: Response,
    service: The,
    file: Annotated[Name, Query(description="Name of the file; it ends in .onnx or .safetensors.")] = None,
    model: Annotated[Name, Query(description="What the history calls it; the file's name if not given.")] = None,
    commit: Annotated[Name, Query(description="The commit that it belongs to.")] = None,
    select: Names = [],  # noqa: B006  # FastAPI copies defaults
    ignore: Names = [],  # noqa: B006
    extend_select: Names = [],  # noqa: B006
    preview: bool = False,
    input_shape: Annotated[Names, Query(description="1x3x224x224, once for each input.")] = [],  # noqa: B006
) -> CheckView:
    """Put a check into the queue: the raw bytes of a file as the body, or JSON that names a registered model.

    Accepted means durable: the job survives a restart of the server.
    """
    options = _options(service, select, ignore, extend_select, preview, input_shape)
    names = {"model": label(model, "model"), "commit": label(commit, "commit")}
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    try:
        await _room(service)
        if kind == "application/json":
            check = await _reference(request, service, names, options)
        elif kind == "application/octet-stream":
            check = await _upload(request, service, label(file, "file"), names, options)
        else:
            raise Problem(
                415,
                f"{kind!r} is not taken: send the file itself as application/octet-stream, or JSON with a reference",
                kind="media-type",
            )
    except Problem as problem:
        service.measures.refused.labels(str(problem.status)).inc()
        raise
    service.measures.accepted.inc()
    service.supervisor.wake()
    response.headers["Location"] = f"/v1/checks/{check.id}"
    return view(check)


def _options(
    service: Service, select: list[str], ignore: list[str], extend: list[str], preview: bool, shapes: list[str]
) -> dict[str, Any]:
    chosen = {"select": tuple(select), "ignore": tuple(ignore), "extend_select": tuple(extend)}
    chosen = {key: names for key, names in chosen.items() if names}
    service.check_selection(chosen)
    options: dict[str, Any] = {key: list(names) for key, names in chosen.items()}
    if preview:
        options["preview"] = True
    for shape in shapes:
        if not _SHAPE.fullmatch(shape):
            raise Problem(422, f"{shape!r} is not of the form 1x3x224x224", kind="input")
        options.setdefault("input_shapes", []).append([int(size) for size in shape.split("x")])
    return options


async def _room(service: Service) -> None:
    """Refuse before a body is read where there is no room for it."""
    jobs, held = await asyncio.to_thread(service.store.waiting)
    if jobs >= service.settings.max_queue or held > service.settings.max_waiting_bytes:
        raise _full(service, jobs)
    if service.uploads >= service.settings.max_uploads_at_once:
        raise _full(service, jobs)


def _full(service: Service, jobs: int) -> Problem:
    # About when a tenth of the queue will be gone, at a second a job.
    seconds = max(1, min(300, jobs // (10 * service.settings.workers)))
    return Problem(
        429, f"{jobs} checks wait already; come back later", kind="queue-full", headers={"Retry-After": str(seconds)}
    )


async def _upload(
    request: Request, service: Service, name: str | None, names: dict[str, str | None], options: dict[str, Any]
) -> Check:
    if name:
        file_name(name, b"")  # a file that is not taken is refused before it is sent
    service.uploads += 1
    try:
        arrived = await receive(request, service.settings, service.folders)
    finally:
        service.uploads -= 1
    stored = file_name(name, arrived.head)
    check = _row(service, names["model"] or stored.rpartition(".")[0], names["commit"], options)
    check.file, check.size, check.sha256 = stored, arrived.size, arrived.sha256
    service.measures.received.inc(arrived.size)

    def keep() -> None:
        try:
            service.folders.settle(arrived.path, check.id, stored)
            _accept(service, check)
        except BaseException:
            arrived.path.unlink(missing_ok=True)
            service.folders.remove(check.id)
            raise

    await asyncio.to_thread(keep)
    return check


async def _reference(
    request: Request, service: Service, names: dict[str, str | None], options: dict[str, Any]
) -> Check:
    body = await read_small(request, _JSON_LIMIT, service.settings.idle_seconds)
    try:
        wanted = ReferenceRequest.model_validate_json(body).reference
    except ValidationError:
        raise Problem(422, 'a JSON body is {"reference": "NAME"}, with a registered name', kind="validation") from None
    if wanted not in service.settings.references:
        why = f"{wanted!r} is not a registered model: names are given by the option --reference NAME=TARGET of serve"
        raise Problem(422, why, kind="reference")
    check = _row(service, names["model"] or wanted, names["commit"], options)
    check.reference = wanted
    await asyncio.to_thread(_accept, service, check)
    return check


def _row(service: Service, model: str, commit: str | None, options: dict[str, Any]) -> Check:
    return Check(
        id=new_id(),
        home=service.folders.home,
        status="queued",
        created=now(),
        model=model,
        revision=commit,
        size=0,
        options=options,
        attempt=0,
        notes=[],
        figures={},
        rules="",
    )


def _accept(service: Service, check: Check) -> None:
    try:
        service.store.accept(check, max_queue=service.settings.max_queue, max_bytes=service.settings.max_waiting_bytes)
    except QueueFull as full:
        raise _full(service, full.waiting) from None


@router.get("", response_model=CheckList, responses=documented(422))
def listed(
    response: Response,
    service: The,
    model: Name = None,
    q: Annotated[Name, Query(description="Part of a model's name, a file's name or a commit.")] = None,
    status: JobStatus | None = None,
    commit: Name = None,
    verdict: Annotated[str | None, Query(pattern="^(clean|findings|not_checked)$")] = None,
    rule: Annotated[
        str | None, Query(pattern="^[A-Z]{1,20}[0-9]{1,6}$", description="A rule that found something.")
    ] = None,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CheckList:
    """List and search checks, newest first."""
    search = Search(
        model=label(model, "model"),
        query=label(q, "q"),
        status=status,
        commit=label(commit, "commit"),
        verdict=verdict,
        rule=rule,
    )
    rows, total = service.store.find(search, page=page, per_page=per_page)
    items = [view(row, service.supervisor.progress(row)) for row in rows]
    response.headers["X-Total-Count"] = str(total)
    return CheckList(items=items, page=page, per_page=per_page, total=total)


@router.get("/{check_id}", response_model=CheckView, responses=documented(404, 422))
def one(check_id: CheckId, service: The) -> CheckView:
    """The status of a check, with progress while it runs."""
    row = found(service, check_id)
    return view(row, service.supervisor.progress(row))


@router.post("/{check_id}/cancel", response_model=CheckView, responses=documented(404, 409, 422))
async def cancel(check_id: CheckId, service: The) -> CheckView:
    """End a check that waits or runs; 409 where it has ended."""
    await asyncio.to_thread(found, service, check_id)
    if not await asyncio.to_thread(service.store.cancel, check_id):
        raise Problem(409, "the check has ended already", kind="ended")
    await _drop(service, check_id)
    service.measures.finished.labels("cancelled").inc()
    return view(await asyncio.to_thread(found, service, check_id))


@router.delete("/{check_id}", status_code=204, responses=documented(404, 422))
async def delete(check_id: CheckId, service: The) -> None:
    """Forget a check, its upload and its report; one that runs is cancelled first."""
    await asyncio.to_thread(found, service, check_id)
    await asyncio.to_thread(service.store.cancel, check_id)
    await _drop(service, check_id)
    await asyncio.to_thread(service.store.delete, check_id)


async def _drop(service: Service, check_id: str) -> None:
    service.supervisor.cancelled(check_id)
    await asyncio.to_thread(service.folders.remove, check_id)


def found(service: Service, check_id: str) -> Check:
    """The row of a check; raises Problem where there is none."""
    row = service.store.get(check_id)
    if row is None:
        raise Problem(404, "there is no check of that id", kind="no-check")
    return row


def reference_schema() -> dict[str, Any]:
    """The schema of a JSON body, for OpenAPI."""
    return ReferenceRequest.model_json_schema()
