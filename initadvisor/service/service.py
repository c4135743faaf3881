"""Everything that one server holds, opened before anything listens."""

from __future__ import annotations

import secrets
from functools import cached_property

from fastapi import Request

from initadvisor.engine.results import first_sentence
from initadvisor.rules import Rule, RuleSet, discover, select
from initadvisor.service.access import Access
from initadvisor.service.folders import Folders
from initadvisor.service.measures import Measures
from initadvisor.service.settings import ServiceSettings
from initadvisor.service.store.checks import Store
from initadvisor.service.store.connect import connect
from initadvisor.service.workers.supervisor import Supervisor


class Service:
    """The data folder, the store, the supervisor of the workers, the door, the measures.

    Opening it raises UsageError or RuleError where a part cannot be used; what a killed server left undone is put back
    into the queue.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.rules: RuleSet = discover(settings.rules.get("rules_dirs", ()))
        self.check_selection({})
        self.folders = Folders(settings.data_dir)
        try:
            self.store = Store(connect(settings.url), self.folders.home, secrets.token_hex(16))
        except BaseException:
            self.folders.release()
            raise
        self.recovered = self.store.recover(settings.attempts)
        self.folders.tidy(self.store.open_ids())
        self.access = Access(settings.tokens)
        self.measures = Measures()
        self.supervisor = Supervisor(settings, self.store, self.folders, self.measures)
        self.uploads = 0

    def close(self) -> None:
        """Let go of the database and the data folder."""
        self.store.engine.dispose()
        self.folders.release()

    def check_selection(self, options: dict[str, tuple[str, ...]]) -> None:
        """Raise UsageError, with a suggestion, where a selection names no rule."""
        base = self.settings.rules
        select(
            self.rules,
            select=options.get("select") or base.get("select", ()),
            ignore=(*base.get("ignore", ()), *options.get("ignore", ())),
            extend_select=(*base.get("extend_select", ()), *options.get("extend_select", ())),
            preview=True,
        )

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """Every rule that can run."""
        return {rule.id: rule for rule in self.rules if rule.status != "removed"}

    @cached_property
    def reasons(self) -> dict[str, str]:
        """One sentence for each rule on why it matters."""
        return {rule.id: first_sentence(rule.sections.get("Why it matters", "")) for rule in self.by_id.values()}


async def the_service(request: Request) -> Service:
    """The service that a request is for, as a call asks for it: one that is not async costs a thread each time."""
    return service_of(request)


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    service: Service = request.app.state.service
    return service
