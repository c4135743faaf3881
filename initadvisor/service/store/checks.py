"""What is done with jobs: accept, claim, end once, put back, cancel, delete, list."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, delete, func, or_, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from initadvisor.service.store.outcome import Failure, Outcome
from initadvisor.service.store.tables import Check, StoredReport

OPEN = ("queued", "running")
STATUSES = ("queued", "running", "done", "failed", "cancelled")


class QueueFull(Exception):
    """No more jobs are taken for now; `waiting` is how many wait."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} jobs wait already")
        self.waiting = waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a list is narrowed to. query: part of a model's or file's name, or of a commit. rule: an id that fired."""

    model: str | None = None
    query: str | None = None
    status: str | None = None
    commit: str | None = None
    verdict: str | None = None
    rule: str | None = None


def new_id() -> str:
    """An identifier that sorts by time and cannot be guessed."""
    return f"{now():012x}{secrets.token_hex(10)}"


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Store:
    """The jobs of one home in a database that homes may share. Every method is one transaction."""

    def __init__(self, engine: Engine, home: str, owner: str) -> None:
        self.engine = engine
        self.home = home
        self.owner = owner
        self._session = sessionmaker(engine, expire_on_commit=False)
        self._door = threading.Lock()

    def accept(self, check: Check, *, max_queue: int, max_bytes: int) -> None:
        """Put a job into the queue, durably; raises QueueFull where it holds no more."""
        with self._door:
            jobs, held = self.waiting()
            if jobs >= max_queue or (jobs and held + check.size > max_bytes):
                raise QueueFull(jobs)
            with self._session.begin() as session:
                session.add(check)

    def waiting(self) -> tuple[int, int]:
        """How many jobs of this home wait, and the bytes of their uploads."""
        with self._session() as session:
            row = session.execute(
                select(func.count(), func.coalesce(func.sum(Check.size), 0)).where(
                    Check.home == self.home, Check.status == "queued"
                )
            ).one()
        return int(row[0]), int(row[1])

    def claim(self) -> Check | None:
        """Take the oldest job that waits, or None. The condition on the status makes sure that one taker wins."""
        oldest = (
            select(Check.id)
            .where(Check.home == self.home, Check.status == "queued")
            .order_by(Check.id)
            .limit(1)
            .scalar_subquery()
        )
        taken = (
            update(Check)
            .where(Check.id == oldest, Check.status == "queued")
            .values(status="running", owner=self.owner, attempt=Check.attempt + 1, started=now())
            .returning(Check)
            .execution_options(synchronize_session=False)
        )
        with self._session.begin() as session:
            return session.scalars(taken).first()

    def end(self, check_id: str, attempt: int, outcome: Outcome, report: bytes | None) -> bool:
        """Record how an attempt ended; False where the job has ended otherwise by then, and nothing is written."""
        values: dict[str, Any] = {
            "status": "failed" if outcome.failure else "done",
            "finished": now(),
            "owner": None,
            "notes": list(outcome.notes),
        }
        if outcome.failure:
            values |= {"failure_kind": outcome.failure.kind, "failure_message": outcome.failure.message}
        else:
            values |= outcome.model_dump(include={"verdict", "errors", "warnings", "infos", "not_evaluated"})
            values |= {"coverage": outcome.coverage, "figures": outcome.figures, "rules": _rules(outcome.rules)}
        with self._session.begin() as session:
            if not _changed(session, self._mine(check_id, attempt).values(**values)):
                return False
            if report is not None and not outcome.failure:
                session.add(StoredReport(check_id=check_id, body=report))
        return True

    def put_back(self, check_id: str, attempt: int, attempts: int, failure: Failure) -> str | None:
        """Queue a job again, or fail it after `attempts`; its new status, None if it has ended."""
        again = attempt < attempts
        values: dict[str, Any] = {"status": "queued", "owner": None, "started": None}
        if not again:
            values = {"status": "failed", "owner": None, "finished": now()}
            values |= {"failure_kind": failure.kind, "failure_message": failure.message}
        with self._session.begin() as session:
            changed = _changed(session, self._mine(check_id, attempt).values(**values))
        return str(values["status"]) if changed else None

    def hand_back(self, check_id: str, attempt: int) -> None:
        """Queue a job again that the server itself stops for; the attempt does not count."""
        values = {"status": "queued", "owner": None, "started": None, "attempt": attempt - 1}
        with self._session.begin() as session:
            _changed(session, self._mine(check_id, attempt).values(**values))

    def recover(self, attempts: int) -> int:
        """Put back what ran when the server of this home was killed; the number of jobs.

        Only for the holder of the home's lock: nobody else can be running them.
        """
        with self._session() as session:
            rows = session.execute(
                select(Check.id, Check.attempt, Check.owner).where(Check.home == self.home, Check.status == "running")
            ).all()
        message = f"the server was stopped {attempts} times while this ran; it is not tried again"
        for check_id, attempt, owner in rows:
            former = Store(self.engine, self.home, owner or "")
            former.put_back(check_id, attempt, attempts, Failure(kind="ServerStopped", message=message))
        return len(rows)

    def _mine(self, check_id: str, attempt: int) -> Any:
        return update(Check).where(
            Check.id == check_id, Check.status == "running", Check.owner == self.owner, Check.attempt == attempt
        )

    def cancel(self, check_id: str) -> bool:
        """End a job that has not ended; False where it has."""
        with self._session.begin() as session:
            return _changed(
                session,
                update(Check)
                .where(Check.id == check_id, Check.status.in_(OPEN))
                .values(status="cancelled", finished=now(), owner=None),
            )

    def delete(self, check_id: str) -> bool:
        """Forget a job and its report; False where there is none."""
        with self._session.begin() as session:
            return _changed(session, delete(Check).where(Check.id == check_id))

    def get(self, check_id: str) -> Check | None:
        """One job."""
        with self._session() as session:
            return session.get(Check, check_id)

    def report(self, check_id: str) -> bytes | None:
        """The report of a job as stored, or None."""
        with self._session() as session:
            return session.scalar(select(StoredReport.body).where(StoredReport.check_id == check_id))

    def find(self, search: Search, *, page: int = 1, per_page: int = 50) -> tuple[list[Check], int]:
        """One page of what a search finds, newest first, and how many there are in all."""
        wanted = _narrowed(select(Check), search)
        with self._session() as session:
            total = session.scalar(_narrowed(select(func.count()).select_from(Check), search)) or 0
            rows = session.scalars(wanted.order_by(Check.id.desc()).limit(per_page).offset((page - 1) * per_page)).all()
        return list(rows), total

    def history(self, model: str, limit: int = 200) -> list[Check]:
        """The latest checks of a model that have a report, oldest first."""
        with self._session() as session:
            rows = session.scalars(
                select(Check).where(Check.model == model, Check.status == "done").order_by(Check.id.desc()).limit(limit)
            ).all()
        return list(rows)[::-1]

    def counts(self) -> dict[str, int]:
        """How many jobs of this home there are, by status."""
        with self._session() as session:
            rows = session.execute(
                select(Check.status, func.count()).where(Check.home == self.home).group_by(Check.status)
            ).all()
        return dict.fromkeys(STATUSES, 0) | {str(status): int(count) for status, count in rows}

    def open_ids(self) -> set[str]:
        """The jobs of this home that have not ended."""
        with self._session() as session:
            return set(session.scalars(select(Check.id).where(Check.home == self.home, Check.status.in_(OPEN))))

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))


def _changed(session: Session, statement: Any) -> bool:
    result: Any = session.execute(statement.execution_options(synchronize_session=False))
    return bool(result.rowcount)


def _rules(ids: Iterable[str]) -> str:
    # Spaces on both sides, so that a search for one id finds no longer one.
    return f" {' '.join(sorted(set(ids)))} "


def _narrowed(statement: Select[Any], search: Search) -> Select[Any]:
    for column, value in (
        (Check.model, search.model),
        (Check.status, search.status),
        (Check.revision, search.commit),
        (Check.verdict, search.verdict),
    ):
        if value:
            statement = statement.where(column == value)
    if search.query:
        parts = (Check.model, Check.file, Check.revision, Check.reference)
        statement = statement.where(or_(*(part.icontains(search.query, autoescape=True) for part in parts)))
    if search.rule:
        statement = statement.where(Check.rules.contains(f" {search.rule} ", autoescape=True))
    return statement
