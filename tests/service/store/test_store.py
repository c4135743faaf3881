"""The store on both databases: what is claimed is claimed once, what ends ends once, migrations make the tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from initadvisor.errors import UsageError
from initadvisor.service.store.checks import QueueFull, Search, Store, new_id, now
from initadvisor.service.store.connect import connect, migrate
from initadvisor.service.store.outcome import Failure, Outcome
from initadvisor.service.store.tables import Base, Check


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = connect(url)
    yield Store(engine, "home", "me")
    engine.dispose()


def _check(**values: object) -> Check:
    usual = {"model": "m", "size": 1, "options": {}, "notes": [], "figures": {}, "rules": "", "status": "queued"}
    return Check(**{**usual, "id": new_id(), "home": "home", "created": now(), "attempt": 0, **values})


def _accept(store: Store, **values: object) -> str:
    check = _check(**values)
    store.accept(check, max_queue=1000, max_bytes=1 << 40)
    return check.id


DONE = Outcome(verdict="findings", errors=2, coverage=0.5, rules=["IA001", "IA101"], figures={"layers": 3.0})


def test_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    migrate(store.engine)  # again changes nothing


def test_a_job_is_claimed_by_one_of_many(store: Store) -> None:
    ids = {_accept(store) for _ in range(12)}
    taken: list[str] = []
    begin = threading.Barrier(6)

    def claim() -> None:
        begin.wait()
        misses = 0
        while misses < 30:
            check = store.claim()
            if check is None:
                misses += 1
            else:
                taken.append(check.id)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(ids)
    assert set(taken) == ids
    assert store.counts()["running"] == 12


def test_jobs_are_claimed_in_order_and_by_their_home(store: Store) -> None:
    other = Store(store.engine, "elsewhere", "you")
    first, second = _accept(store, id="a" * 32), _accept(store, id="b" * 32)
    assert other.claim() is None
    claimed = store.claim()
    assert claimed is not None
    assert (claimed.id, claimed.attempt, claimed.status) == (first, 1, "running")
    assert store.claim().id == second  # type: ignore[union-attr]
    assert store.claim() is None


def test_a_job_ends_once(store: Store) -> None:
    check_id = _accept(store)
    store.claim()
    assert not store.end(check_id, 2, DONE, b"late")
    assert not Store(store.engine, "home", "another").end(check_id, 1, DONE, b"other")
    assert store.end(check_id, 1, DONE, b"report")
    assert not store.end(check_id, 1, DONE, b"again")
    assert not store.cancel(check_id)
    assert store.report(check_id) == b"report"
    row = store.get(check_id)
    assert row is not None
    assert (row.status, row.errors, row.coverage, row.rules, row.figures) == (
        "done",
        2,
        0.5,
        " IA001 IA101 ",
        {"layers": 3.0},
    )


def test_a_failure_is_kept_and_has_no_report(store: Store) -> None:
    check_id = _accept(store)
    store.claim()
    assert store.end(check_id, 1, Outcome(failure=Failure(kind="Crash", message="why")), b"half")
    row = store.get(check_id)
    assert row is not None
    assert (row.status, row.failure_kind, row.failure_message) == ("failed", "Crash", "why")
    assert store.report(check_id) is None


def test_a_cancelled_job_takes_no_report(store: Store) -> None:
    check_id = _accept(store)
    store.claim()
    assert store.cancel(check_id)
    assert not store.end(check_id, 1, DONE, b"report")
    assert store.report(check_id) is None
    assert store.put_back(check_id, 1, 3, Failure(kind="k", message="m")) is None


def test_lost_jobs_come_back_a_bounded_number_of_times(store: Store) -> None:
    check_id = _accept(store)
    lost = Failure(kind="WorkerKilled", message="three times")
    for attempt in (1, 2):
        assert store.claim().attempt == attempt  # type: ignore[union-attr]
        assert store.put_back(check_id, attempt, 3, lost) == "queued"
    store.claim()
    assert store.put_back(check_id, 3, 3, lost) == "failed"
    assert store.get(check_id).failure_kind == "WorkerKilled"  # type: ignore[union-attr]


def test_a_server_that_was_killed_leaves_nothing_running(store: Store) -> None:
    mine, waiting = _accept(store, id="1" * 32), _accept(store, id="2" * 32)
    elsewhere = Store(store.engine, "elsewhere", "you")
    theirs = _accept(elsewhere, home="elsewhere")
    store.claim()
    elsewhere.claim()
    assert Store(store.engine, "home", "next").recover(3) == 1
    assert {store.get(each).status for each in (mine, waiting)} == {"queued"}  # type: ignore[union-attr]
    assert store.get(theirs).status == "running"  # type: ignore[union-attr]
    assert store.open_ids() == {mine, waiting}


def test_a_stop_on_purpose_costs_no_attempt(store: Store) -> None:
    check_id = _accept(store)
    store.claim()
    store.hand_back(check_id, 1)
    assert store.claim().attempt == 1  # type: ignore[union-attr]


def test_a_full_queue_takes_no_more(store: Store) -> None:
    store.accept(_check(size=100), max_queue=2, max_bytes=150)
    with pytest.raises(QueueFull):
        store.accept(_check(size=51), max_queue=2, max_bytes=150)
    store.accept(_check(size=50), max_queue=2, max_bytes=150)
    with pytest.raises(QueueFull):
        store.accept(_check(size=0), max_queue=2, max_bytes=150)
    store.claim()
    store.accept(_check(size=1), max_queue=2, max_bytes=150)


def test_search_takes_text_as_it_is(store: Store) -> None:
    odd = _accept(store, model="100%_Ünïcode' OR 1=1 --", revision="c\\d")
    _accept(store, model="100x1")

    def ids(**search: str) -> list[str]:
        return [row.id for row in store.find(Search(**search))[0]]

    assert ids(query="100%") == ids(query="%_ü") == ids(query="' or 1=1") == ids(query="c\\d") == [odd]
    assert len(ids(query="100")) == 2
    assert ids(query="1_0") == []


def test_deleting_a_check_deletes_its_report(store: Store) -> None:
    check_id = _accept(store)
    store.claim()
    store.end(check_id, 1, DONE, b"report")
    assert store.delete(check_id)
    assert not store.delete(check_id)
    assert store.report(check_id) is None
    assert store.get(check_id) is None


@pytest.mark.parametrize(
    "url", ["mysql://h/b", "nonsense", "sqlite:////no/such/folder/file", "postgresql:///b?host=/no/such/socket"]
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        connect(url.replace("://h", "://user:hunter2@h"))
    assert "hunter2" not in str(raised.value)
