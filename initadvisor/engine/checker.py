"""The pipeline of a check, from a target to its report."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from initadvisor.errors import InitAdvisorError
from initadvisor.frontends.options import LoadOptions
from initadvisor.report.model import CoverageRow, Problem, Report, Summary, Tool
from initadvisor.rules import CompiledRule, Judgement, Rule, RuleSet, discover, evaluate, override, select
from initadvisor.rules.vocabulary import clean_text

Progress = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """Which rules run, with what parameters, and how targets are read."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    extend_select: Sequence[str] = ()
    preview: bool = False
    rules_dirs: Sequence[Path | str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    load: LoadOptions = field(default_factory=LoadOptions)


class Checker:
    """Settings with their rules compiled once, for as many targets as there are."""

    def __init__(self, settings: CheckSettings | None = None, rules: RuleSet | None = None) -> None:
        """Reads the rule files, unless a set is given; raises RuleError or UsageError where they cannot be used."""
        self.settings = settings or CheckSettings()
        known = rules if rules is not None else discover(Path(folder) for folder in self.settings.rules_dirs)
        chosen = select(
            known,
            select=self.settings.select,
            ignore=self.settings.ignore,
            extend_select=self.settings.extend_select,
            preview=self.settings.preview,
        )
        self.rules: list[Rule] = override(chosen, self.settings.params, known)

    @cached_property
    def compiled(self) -> list[CompiledRule]:
        """The rules with their expressions checked; raises RuleError for a name or type that does not fit."""
        from initadvisor.engine.look import vocabulary

        return [CompiledRule(rule, vocabulary()) for rule in self.rules]

    def check(self, target: Any, *, progress: Progress | None = None) -> Report:
        """Check one target: a path, a reference such as "torchvision:resnet50", or a torch module.

        Raises a LoadError where it cannot be read; `not_checked` makes a report of that.
        """
        from initadvisor import frontends
        from initadvisor.analysis import structure
        from initadvisor.engine.look import look

        compiled = self.compiled
        tell = progress or _silent
        tell("reading")
        graph = structure.describe(frontends.load(target, self.settings.load))
        view = look(graph, tell)
        tell("judging")
        judgement = evaluate(compiled, view.subjects, view.available, view.reasons)
        coverage = CoverageRow(
            parameters=min(1.0, graph.coverage.parameters),
            operators=min(1.0, graph.coverage.operators),
            capture=graph.coverage.capture,
            notes=tuple(clean_text(note) for note in graph.coverage.notes),
        )
        return self._report(clean_text(graph.target), judgement, coverage, view.layers, empty=view.empty)

    def not_checked(self, target: Any, error: BaseException) -> Report:
        """The report of a target that could not be read."""
        kind = type(error).__name__ if isinstance(error, InitAdvisorError) else "InternalError"
        message = str(error) if isinstance(error, InitAdvisorError) else f"{type(error).__name__}: {error}"
        return Report(
            tool=_tool(),
            target=clean_text(_name_of(target)),
            verdict="not_checked",
            error=Problem(kind=kind, message=clean_text(message)),
            settings_digest=self.settings_digest,
        )

    def reasons(self) -> dict[str, str]:
        """One sentence for each rule on why it matters: the first of that section of its page."""
        return {rule.id: first_sentence(rule.sections.get("Why it matters", "")) for rule in self.rules}

    @cached_property
    def settings_digest(self) -> str:
        """A key of everything that decides what a report says about a target: rules, parameters, load options."""
        rules = [[r.id, r.active.severity, r.active.when, dict(r.active.let), dict(r.active.p)] for r in self.rules]
        load = self.settings.load
        options = [load.input_shapes, load.allow_pickle, load.allow_external_symlinks]
        text = json.dumps([rules, options], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _report(
        self, target: str, judgement: Judgement, coverage: CoverageRow, layers: Iterable[Any], *, empty: str
    ) -> Report:
        counts = {"error": 0, "warning": 0, "info": 0}
        for finding in judgement.findings:
            counts[finding.severity] += 1
        problem = None
        if empty:
            problem = Problem(kind="NothingToCheck", message=f"{target}: {empty}")
        elif not judgement.findings and not judgement.ok and judgement.not_evaluated:
            reason = judgement.not_evaluated[0].reason
            problem = Problem(
                kind="NothingEvaluated", message=f"{target}: no selected rule could be evaluated: {reason}"
            )
        return Report(
            tool=_tool(),
            target=target,
            verdict="findings" if judgement.findings else "not_checked" if problem else "clean",
            error=None if judgement.findings else problem,
            summary=Summary(**counts, not_evaluated=len(judgement.not_evaluated)),
            coverage=coverage,
            findings=tuple(judgement.findings),
            not_evaluated=tuple(judgement.not_evaluated),
            layers=tuple(layers),
            settings_digest=self.settings_digest,
        )


def check(
    target: Any,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
    rules_dirs: Iterable[Path | str] = (),
    params: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    example: Any | None = None,
    allow_pickle: bool = False,
) -> Report:
    """Check how a model starts; the model is only read, never changed or run on real data.

    target: a torch module, a path to .onnx, .safetensors or .pt, or a reference ("package.module:factory",
        "torchvision:resnet50").
    select, ignore, extend_select: rules by id, prefix, name or category.
    params: rule parameters, as {"IA101.low": 0.4}.
    input_shape: the shape of the input, or one for each input. example: an example input of a torch module.

    Raises a subclass of InitAdvisorError where the target cannot be read or a setting is off.
    """
    settings = CheckSettings(
        select=tuple(select),
        ignore=tuple(ignore),
        extend_select=tuple(extend_select),
        preview=preview,
        rules_dirs=tuple(rules_dirs),
        params=dict(params or {}),
        load=LoadOptions(input_shapes=_shapes(input_shape), example=example, allow_pickle=allow_pickle),
    )
    return Checker(settings).check(target)


def first_sentence(prose: str) -> str:
    """The first sentence of a paragraph of Markdown, on one line."""
    paragraph = " ".join(prose.split("\n\n")[0].split())
    for mark in (". ", "? ", "! ", ": "):
        head, found, _ = paragraph.partition(mark)
        if found and len(head) > 20 and mark != ": ":
            return head + mark.strip()
    return paragraph


def _shapes(shape: Any) -> tuple[tuple[int, ...], ...] | None:
    if shape is None:
        return None
    sizes = tuple(shape)
    if all(isinstance(size, int) for size in sizes):
        return (sizes,)
    return tuple(tuple(int(size) for size in each) for each in sizes)


def _name_of(target: Any) -> str:
    return str(target) if isinstance(target, str | os.PathLike) else type(target).__name__


def _tool() -> Tool:
    from initadvisor import __version__

    return Tool(version=__version__)


def _silent(*_: Any) -> None:
    """Tell nobody."""
