"""The tables: one row a check, and its report beside it, so that lists never read reports."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables; constraints have names, as migrations need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


class Check(Base):
    """One accepted job. Times are milliseconds since 1970; `id` sorts by them.

    home: the data folder that holds the upload, for several servers on one database.
    attempt, owner: what a worker's answer must carry to be taken, so that a job ends once.
    """

    __tablename__ = "checks"
    __table_args__ = (Index("ix_checks_queue", "home", "status", "id"), Index("ix_checks_history", "model", "id"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    home: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(12))
    created: Mapped[int] = mapped_column(BigInteger)
    started: Mapped[int | None] = mapped_column(BigInteger)
    finished: Mapped[int | None] = mapped_column(BigInteger)
    model: Mapped[str] = mapped_column(String(200))
    file: Mapped[str | None] = mapped_column(String(200))
    reference: Mapped[str | None] = mapped_column(String(200))
    revision: Mapped[str | None] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempt: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(32))
    failure_kind: Mapped[str | None] = mapped_column(String(40))
    failure_message: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[list[str]] = mapped_column(JSON)
    verdict: Mapped[str | None] = mapped_column(String(12))
    errors: Mapped[int | None] = mapped_column(Integer)
    warnings: Mapped[int | None] = mapped_column(Integer)
    infos: Mapped[int | None] = mapped_column(Integer)
    not_evaluated: Mapped[int | None] = mapped_column(Integer)
    coverage: Mapped[float | None] = mapped_column(Float)
    figures: Mapped[dict[str, float]] = mapped_column(JSON)
    rules: Mapped[str] = mapped_column(Text)


class StoredReport(Base):
    """The report of a check: JSON, compressed by gzip."""

    __tablename__ = "reports"

    check_id: Mapped[str] = mapped_column(ForeignKey("checks.id", ondelete="CASCADE"), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
