"""The pipeline of a check, from a target to what the rules say of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.accepting import Accepted, settle
from initadvisor.engine.command import fix_command
from initadvisor.engine.results import first_sentence, report_of, report_of_failure
from initadvisor.frontends.options import LoadOptions
from initadvisor.rules import CompiledRule, Judgement, Rule, RuleSet, discover, evaluate, override, select
from initadvisor.rules.selection import is_named
from initadvisor.rules.severities import regrade
from initadvisor.rules.suppressions import Suppression, check_selectors

if TYPE_CHECKING:
    from initadvisor.analysis.facts.model import TrainingFacts
    from initadvisor.engine.look import View
    from initadvisor.graph import Graph
    from initadvisor.plan import Override
    from initadvisor.report import Report

Progress = Callable[..., None]
Purpose = Literal["check", "probe", "data", "clients"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """Which rules run, with what parameters, how targets are read, and what advice starts from.

    batch_size, devices: of the training to come: samples of a step on one device, and how many there are.
    preset, policy: as `initadvisor.advise` takes them; they decide what a report recommends, and no verdict.
    severity: selector -> severity or "off". suppressions: accepted findings. model_suppressions: obey those too that
    came with the model's file. expect: "pretrained" where the user says that the model is. classes: of the user's task,
    0 where nobody said.
    """

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    extend_select: Sequence[str] = ()
    preview: bool = False
    rules_dirs: Sequence[Path | str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    load: LoadOptions = field(default_factory=LoadOptions)
    preset: str | None = None
    policy: Sequence[Override] = ()
    severity: Mapping[str, str] = field(default_factory=dict)
    suppressions: Sequence[Suppression] = ()
    model_suppressions: bool = False
    batch_size: int | None = None
    devices: int | None = None
    expect: str = ""
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Examination:
    """A target after all steps of a check: its described graph, its facts, what the rules said, and what of that is
    accepted and so no longer in the judgement.
    """

    graph: Graph
    view: View
    judgement: Judgement
    accepted: Accepted


class Checker:
    """Settings with their rules compiled once, for as many targets as there are."""

    def __init__(
        self,
        settings: CheckSettings | None = None,
        rules: RuleSet | None = None,
        purpose: Purpose = "check",
        *,
        like: Checker | None = None,
    ) -> None:
        """Reads the rule files, unless a set is given; raises RuleError or UsageError where they cannot be used.

        purpose: only the rules that need nothing else run: a check leaves out those that need a probe or a batch of
            data, unless a selector names them.
        like: a checker with other settings, whose rules need not be read and compiled again.
        """
        self.settings = settings or CheckSettings()
        if rules is None and like is not None and tuple(like.settings.rules_dirs) == tuple(self.settings.rules_dirs):
            rules = like.known
        known = rules if rules is not None else discover(Path(folder) for folder in self.settings.rules_dirs)
        self.known: RuleSet = known
        self._compiled: dict[int, CompiledRule] = like._compiled if like is not None else {}
        chosen = select(
            known,
            select=self.settings.select,
            ignore=self.settings.ignore,
            extend_select=self.settings.extend_select,
            preview=self.settings.preview,
        )
        named = (*self.settings.select, *self.settings.extend_select)
        meant = [r for r in chosen if purpose_of(r) == purpose or is_named(r, named)]
        check_selectors(self.settings.suppressions, list(known))
        self.rules: list[Rule] = override(regrade(meant, self.settings.severity, known), self.settings.params, known)

    @cached_property
    def compiled(self) -> list[CompiledRule]:
        """The rules with their expressions checked; raises RuleError for a name or type that does not fit."""
        from initadvisor.engine.look import vocabulary

        for rule in self.rules:
            if id(rule) not in self._compiled:  # a compiled rule holds its rule, so that no other gets that identity
                self._compiled[id(rule)] = CompiledRule(rule, vocabulary())
        return [self._compiled[id(rule)] for rule in self.rules]

    def examine(self, target: Any, *, load: LoadOptions | None = None, progress: Progress | None = None) -> Examination:
        """Load, look and judge: a path, a reference such as "torchvision:resnet50", or a torch module.

        load: how to read this one, where the settings' way is not meant. progress: called with (stage, done, total).
        Raises a LoadError where it cannot be read.
        """
        from initadvisor import frontends
        from initadvisor.analysis import structure
        from initadvisor.engine.look import look

        compiled = self.compiled
        tell = progress or silent
        tell("reading")
        graph = structure.describe(frontends.load(target, load or self.settings.load))
        graph.summary |= {"expect": self.settings.expect, "classes": self.settings.classes}
        view = look(graph, tell, training=self.training)
        tell("judging")
        return Examination(
            graph, view, *self.settle(evaluate(compiled, view.subjects, view.available, view.reasons), graph)
        )

    @property
    def training(self) -> TrainingFacts | None:
        """What the settings say of the training to come."""
        from initadvisor.analysis.facts.model import TrainingFacts

        batch_size, devices = self.settings.batch_size, self.settings.devices
        return TrainingFacts(batch_size=batch_size, devices=devices) if batch_size or devices else None

    def settle(self, judgement: Judgement, graph: Graph) -> tuple[Judgement, Accepted]:
        """The findings that count, and those that the settings or the model's own marks accept."""
        obey = self.settings.model_suppressions
        return settle(judgement, graph, self.settings.suppressions, self.rules, list(self.known), obey_model=obey)

    def check(
        self,
        target: Any,
        *,
        load: LoadOptions | None = None,
        progress: Progress | None = None,
        explain: str | None = None,
        details: bool = False,
    ) -> Report:
        """The report on one target; raises like `examine`, and `not_checked` makes a report of that.

        explain: a layer whose signal the report is to follow; raises UsageError where it is not there.
        details: whether the report is to hold what only pictures need.
        """
        from initadvisor.engine.explaining import explain as explained

        done = self.examine(target, load=load, progress=progress)
        command = fix_command(target, self.settings, load or self.settings.load)
        way = explained(done.graph, done.view.forecast, explain) if explain is not None else None
        report = report_of(
            done.graph,
            done.view,
            done.judgement,
            self.settings_digest,
            command,
            way,
            accepted=done.accepted,
            preset=self.settings.preset,
            policy=self.settings.policy,
        )
        if not details:
            return report
        from initadvisor.engine.details import with_details

        return with_details(report, done.graph)

    def not_checked(self, target: Any, error: BaseException) -> Report:
        """The report of a target that could not be read."""
        return report_of_failure(target, error, self.settings_digest)

    def reasons(self) -> dict[str, str]:
        """One sentence for each rule on why it matters: the first of that section of its page."""
        return {rule.id: first_sentence(rule.sections.get("Why it matters", "")) for rule in self.rules}

    @cached_property
    def settings_digest(self) -> str:
        """A key of everything that decides what a report says about a target: rules, parameters, load options."""
        rules = [
            [r.id, r.active.severity, r.active.when, dict(r.active.let), dict(r.active.p), r.active.yields_to]
            for r in self.rules
        ]
        load = self.settings.load
        options: list[Any] = [load.input_shapes, load.allow_pickle, load.allow_external_symlinks]
        options += ["meta"] if load.meta else []
        advice = [[each.pattern, each.spec and each.spec.to_json()] for each in self.settings.policy]
        # Settings without a policy of their own keep the digest that they had before there were any.
        asked: list[Any] = [self.settings.preset, advice] if self.settings.preset or advice else []
        accepted = [[*s.layers, *s.rules, s.reason, s.expires] for s in self.settings.suppressions]
        asked += [accepted, self.settings.model_suppressions] if accepted or self.settings.model_suppressions else []
        training = [self.settings.batch_size, self.settings.devices]
        asked += [training] if any(training) else []
        said = [self.settings.expect, self.settings.classes]
        asked += [said] if any(said) else []
        text = json.dumps([rules, options, *asked], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def purpose_of(rule: Rule) -> Purpose:
    """What a rule is judged in: a check, a probe, a look at data or at clients."""
    needs = rule.active.needs
    return "probe" if "probe" in needs else "data" if "batch" in needs else "clients" if "clients" in needs else "check"


def silent(*_: Any) -> None:
    """Tell nobody."""
