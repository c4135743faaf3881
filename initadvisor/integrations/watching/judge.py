"""What is known of a model without running it, taken once, and the rules over it for each window of a training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from initadvisor import __version__
from initadvisor.analysis import structure
from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.checker import silent
from initadvisor.engine.look import look
from initadvisor.engine.probe_record import probe_record
from initadvisor.engine.prober import enrich, sites_of
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.load import load_with_inputs
from initadvisor.frontends.torch_module.state import Guard
from initadvisor.probe.facts import ProbeFacts, facts_of
from initadvisor.probe.observation import Observation
from initadvisor.report.model import CoverageRow, Report, Summary, Tool
from initadvisor.rules import SEVERITIES, Need, Subject, evaluate, flatten
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from pydantic import BaseModel


class Judge:
    """The static facts of a module, and rules compiled once."""

    def __init__(self, module: torch.nn.Module, settings: CheckSettings, example: Any = None) -> None:
        """Costs what a check costs. example: an input, where none can be inferred."""
        self._checker = Checker(settings, purpose="probe")
        self._compiled = self._checker.compiled
        self.target = type(module).__name__
        with Guard(module):
            graph, _ = load_with_inputs(module, LoadOptions(example=example), self.target)
            structure.describe(graph)
        self.sites = sites_of(graph, module)
        self._facts: list[tuple[str, str, Mapping[str, BaseModel]]] = []
        view = look(graph, silent, lambda scope, name, groups: self._facts.append((scope, name, groups)))
        self._subjects = {scope: iter(found) for scope, found in view.subjects.items()}
        self._labels = [next(self._subjects[scope]) for scope, _, _ in self._facts]
        self._available = view.available | frozenset[Need](("probe",))
        self._reasons = view.reasons
        self._elements = float(
            sum(math.prod(p.shape) for p in graph.parameters.values() if p.is_float and not p.buffer)
        )
        self._coverage = CoverageRow(
            parameters=min(1.0, graph.coverage.parameters),
            operators=min(1.0, graph.coverage.operators),
            capture=graph.coverage.capture,
            notes=tuple(clean_text(note) for note in graph.coverage.notes),
        )

    def report(self, seen: Observation, notes: tuple[str, ...] = ()) -> tuple[Report, ProbeFacts]:
        """The report of what a window saw."""
        facts = facts_of(seen, self._elements)
        subjects: dict[str, list[Subject]] = {scope: [] for scope in self._subjects}
        flat: dict[tuple[int, str], dict[str, Any]] = {}
        for (scope, name, groups), label in zip(self._facts, self._labels, strict=True):
            enrich(facts, scope, name, groups)
            known: dict[str, Any] = {}
            for group, model in groups.items():
                key = (id(model), group)
                if key not in flat:
                    flat[key] = flatten(group, model, {})
                known |= flat[key]
            subjects[scope].append(Subject(label.kind, label.name, known, label.tensor))
        judged = evaluate(self._compiled, subjects, self._available, self._reasons)
        record = probe_record([seen], Counter(), 0)
        record.pop("notes")
        counts = Counter(finding.severity for finding in judged.findings)
        report = Report(
            tool=Tool(version=__version__),
            target=clean_text(self.target),
            verdict="findings" if judged.findings else "clean",
            summary=Summary(
                **{severity: counts[severity] for severity in SEVERITIES}, not_evaluated=len(judged.not_evaluated)
            ),
            coverage=self._coverage.model_copy(update={"notes": (*self._coverage.notes, *notes)}),
            findings=tuple(judged.findings),
            not_evaluated=tuple(judged.not_evaluated),
            probe=record,
            settings_digest=self._checker.settings_digest,
        )
        return report, facts
