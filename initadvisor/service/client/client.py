"""The calls of the service as methods."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from initadvisor.errors import NotFoundError, ServiceError, UsageError
from initadvisor.service.client.address import address_of
from initadvisor.service.client.connection import Body, ask
from initadvisor.service.schemas import CheckList, CheckView, ComparisonView

if TYPE_CHECKING:
    from initadvisor.report import Report

_Shape = TypeVar("_Shape", bound=BaseModel)

_ENDED = ("done", "failed", "cancelled")
_FIRST_LOOK, _LAST_LOOK = 0.05, 2.0
"""Seconds between two looks at a check: more and more of them."""
_AWAY = 60.0
"""Seconds that a service may be away while a check is waited for: accepted checks outlive a restart."""
_TRY_AGAIN = (429, 503)

Progress = Callable[..., None]


class Client:
    """A service, by its address and a token.

        client = initadvisor.Client("http://127.0.0.1:8765")
        check = client.wait(client.submit("model.onnx", commit="c0ffee").id)
        report = client.report(check.id)

    Every method raises ServiceError where the service cannot be reached or refuses. Nothing is kept open in between.
    """

    def __init__(self, url: str, token: str | None = None, *, seconds: float = 60.0) -> None:
        """seconds: how long the service may say nothing. Raises UsageError for what is no address or no token."""
        self.address = address_of(url, token)
        self._seconds = seconds

    def submit(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        reference: str | None = None,
        model: str | None = None,
        commit: str | None = None,
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
        extend_select: Sequence[str] = (),
        preview: bool = False,
        input_shapes: Sequence[Sequence[int]] = (),
        patience: float = 300.0,
        progress: Progress | None = None,
    ) -> CheckView:
        """Give in a file, which is streamed, or the name of a model that the service has registered.

        model, commit: what the history calls it. select ... input_shapes: as in `initadvisor check`. patience: seconds
        for which a full queue is tried again, as often as the service asks for it. progress: called with (stage, done,
        total), in bytes. Raises NotFoundError where there is no such file.
        """
        if (target is None) == (reference is None):
            raise UsageError("a check is of a file or of a reference", hint="give one of them")
        query: dict[str, object] = {
            "model": model,
            "commit": commit,
            "select": tuple(select),
            "ignore": tuple(ignore),
            "extend_select": tuple(extend_select),
            "preview": "true" if preview else None,
            "input_shape": tuple("x".join(str(size) for size in shape) for shape in input_shapes),
        }
        tell = progress or _silent
        until = monotonic() + patience
        while True:
            try:
                if target is not None:
                    content = self._upload(Path(target), query, tell)
                else:
                    text = json.dumps({"reference": reference}).encode()
                    content = self._ask(
                        "POST", "/v1/checks", query, Body(io.BytesIO(text), len(text), "application/json")
                    )
                return self._read(CheckView, content)
            except ServiceError as error:
                pause = error.retry_after if error.retry_after is not None else 1.0
                if error.status not in _TRY_AGAIN or monotonic() + pause > until:
                    raise
                tell(f"waiting {pause:.0f} s for a place in the queue")
                sleep(pause)

    def _upload(self, file: Path, query: dict[str, object], tell: Progress) -> bytes:
        try:
            with file.open("rb") as opened:
                about = os.fstat(opened.fileno())
                if not stat.S_ISREG(about.st_mode):
                    raise UsageError(f"{file} is not a file that can be sent")
                size = about.st_size
                body = Body(opened, size, "application/octet-stream", lambda sent: tell("sending", sent, size))
                return self._ask("POST", "/v1/checks", {**query, "file": file.name}, body)
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no file {file}") from error
        except (IsADirectoryError, PermissionError) as error:
            raise NotFoundError(f"{file} cannot be sent: {error.strerror}") from error

    def status(self, check_id: str) -> CheckView:
        """One check, as it is now."""
        return self._read(CheckView, self._ask("GET", f"/v1/checks/{_id(check_id)}"))

    def wait(self, check_id: str, *, patience: float | None = None, progress: Progress | None = None) -> CheckView:
        """The check once it has ended: `done`, `failed` or `cancelled`.

        patience: seconds, without end where None; raises ServiceError of kind "patience" after them, and the check goes
        on. A service that is away is waited for, a minute at most: what it has accepted outlives a restart.
        progress: called with (stage, done, total).
        """
        tell = progress or _silent
        until = None if patience is None else monotonic() + patience
        pause, seen = _FIRST_LOOK, monotonic()
        while True:
            try:
                check = self.status(check_id)
            except ServiceError as error:
                if error.status not in (None, *_TRY_AGAIN) or monotonic() - seen > _AWAY:
                    raise
                tell("waiting for the service")
            else:
                seen = monotonic()
                if check.status in _ENDED:
                    return check
                told = check.progress
                if told is not None:
                    tell(told.stage, told.done, told.total)
                else:
                    tell("waiting for a worker" if check.status == "queued" else "checking")
            if until is not None and monotonic() + pause > until:
                raise ServiceError(f"the check {check_id} has not ended in {patience:g} s", kind="patience")
            sleep(pause)
            pause = min(_LAST_LOOK, 1.3 * pause)

    def report(self, check_id: str) -> Report:
        """The report of a check that is done; raises ServiceError where it ended without one."""
        from initadvisor.report import Report

        return self._read(Report, self._ask("GET", f"/v1/checks/{_id(check_id)}/report"))

    def list(
        self,
        *,
        model: str | None = None,
        q: str | None = None,
        status: str | None = None,
        commit: str | None = None,
        verdict: str | None = None,
        rule: str | None = None,
        page: int = 1,
        per_page: int = 50,
    ) -> CheckList:
        """One page of checks, newest first. q: part of a name or a commit. rule: an id that found something."""
        query = {"model": model, "q": q, "status": status, "commit": commit, "verdict": verdict, "rule": rule}
        return self._read(CheckList, self._ask("GET", "/v1/checks", {**query, "page": page, "per_page": per_page}))

    def compare(self, a: str, b: str) -> ComparisonView:
        """What came and what went from the report of check `a` to that of `b`."""
        return self._read(ComparisonView, self._ask("GET", "/v1/compare", {"a": _id(a), "b": _id(b)}))

    def cancel(self, check_id: str) -> CheckView:
        """End a check that waits or runs; raises ServiceError, status 409, where it has ended."""
        return self._read(CheckView, self._ask("POST", f"/v1/checks/{_id(check_id)}/cancel"))

    def delete(self, check_id: str) -> None:
        """Forget a check, its upload and its report."""
        self._ask("DELETE", f"/v1/checks/{_id(check_id)}")

    def _ask(self, method: str, path: str, query: dict[str, Any] | None = None, body: Body | None = None) -> bytes:
        return ask(self.address, method, path, query, body, seconds=self._seconds)

    def _read(self, shape: type[_Shape], content: bytes) -> _Shape:
        try:
            return shape.model_validate_json(content)
        except ValidationError as error:
            raise ServiceError(
                f"what {self.address} answered is not what this version of initadvisor understands",
                hint="is it an initadvisor service of the same version?",
            ) from error


def _id(check_id: str) -> str:
    if not (check_id.isascii() and check_id.isalnum()):
        raise UsageError(f"{check_id!r} is not the id of a check")
    return check_id


def _silent(*_: Any) -> None:
    """Tell nobody."""
