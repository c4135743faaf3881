"""Opening the database and bringing its tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from initadvisor.errors import MissingExtraError, UsageError

_MIGRATIONS = Path(__file__).parent / "migrations"


def connect(url: str) -> Engine:
    """An engine with migrated tables; raises UsageError where the database cannot be used."""
    try:
        address = make_url(url)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(f"databases are SQLite or PostgreSQL, not {address.get_backend_name()}")
        # Every request thread may hold a connection; more would be more than PostgreSQL gives by default.
        engine = create_engine(address, pool_size=8, max_overflow=40, pool_pre_ping=address.drivername != "sqlite")
    except ArgumentError as error:
        raise UsageError(f"the database URL cannot be read: {error}") from error
    except ImportError as error:
        raise MissingExtraError("a PostgreSQL database", "postgres") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        migrate(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        shown = address.render_as_string(hide_password=True)
        raise UsageError(f"the database {shown} cannot be used: {reason}") from error
    return engine


def migrate(engine: Engine) -> None:
    """Run the migrations that are missing, one server at a time."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(20260101)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer; what was committed survives a loss of power; deleting a check deletes its report."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # Its own knows the case of ASCII letters only, and searches are to find Ü by ü.
    connection.create_function("lower", 1, lambda text: text.lower() if isinstance(text, str) else text)
