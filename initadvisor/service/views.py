"""Rows of the store as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from initadvisor.report.model import Summary
from initadvisor.service.schemas import CheckView
from initadvisor.service.store.outcome import Failure
from initadvisor.service.store.tables import Check


def view(check: Check, progress: dict[str, Any] | None = None) -> CheckView:
    """A row of the store as the API shows it."""
    ended = check.verdict is not None
    own = f"/v1/checks/{check.id}"
    links = {"self": own, "page": f"/checks/{check.id}"}
    if check.status == "done":
        links["report"] = f"{own}/report"
    return CheckView.model_validate(
        {
            **{name: getattr(check, name) for name in ("id", "status", "model", "file", "reference", "size", "sha256")},
            **{
                name: getattr(check, name) for name in ("options", "attempt", "verdict", "coverage", "figures", "notes")
            },
            "commit": check.revision,
            **{name: moment(getattr(check, name)) for name in ("created", "started", "finished")},
            "progress": progress,
            "summary": Summary(
                error=check.errors or 0,
                warning=check.warnings or 0,
                info=check.infos or 0,
                not_evaluated=check.not_evaluated or 0,
            )
            if ended
            else None,
            "rules": check.rules.split(),
            "failure": Failure(kind=check.failure_kind, message=check.failure_message or "")
            if check.failure_kind
            else None,
            "links": links,
        }
    )


def moment(milliseconds: int | None) -> datetime | None:
    """A time of the store."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
