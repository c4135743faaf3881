"""The examples of rule files as tests: what `initadvisor rule test` and the test suite both run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from initadvisor.engine.checker import Checker, CheckSettings, purpose_of
from initadvisor.engine.clients import ClientsChecker
from initadvisor.engine.data import DataChecker
from initadvisor.engine.probing import make_prober
from initadvisor.errors import RuleError
from initadvisor.frontends.options import LoadOptions
from initadvisor.rules import Finding, NotEvaluated, Rule, RuleSet, collect, discover, rule_files
from initadvisor.rules.examples import CheckExample, Outcome, run_example


def load_rules(paths: Iterable[Path]) -> tuple[list[Rule], RuleSet]:
    """(the rules under test, these and all that ship): a file under test stands in for the packaged rule of its id.

    Raises RuleError for a path that is neither a rule file nor a folder of them, or a file without examples.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RuleError(f"there is no rule file or folder {path}")
        files += rule_files(path) if path.is_dir() else [path]
    tested = collect(dict.fromkeys(file.resolve() for file in files))
    if not len(tested):
        raise RuleError(f"no rule file is under {', '.join(str(path) for path in paths)}")
    for rule in tested:
        kinds = {example.kind for example in rule.examples}
        if rule.status != "removed" and kinds != {"bad", "good"}:
            raise RuleError(f"{rule.where()}: {rule.id} needs at least one `python bad` and one `python good` example")
    known = RuleSet(dict(sorted({**discover().rules, **tested.rules}.items())))
    for rule in tested:
        for key in ("also", "yields_to") if rule.status != "removed" else ():
            for other in getattr(rule.active, key):
                if other not in known.rules:
                    raise RuleError(f'{rule.where(key)}: {key}: there is no rule "{other}"')
    return list(tested), known


def run_all(tested: Sequence[Rule], known: RuleSet) -> list[Outcome]:
    """Run every example of the rules under test, with all known rules judging."""
    checkers = Checkers(known)
    return [
        run_example(rule, example, checkers.of(rule))
        for rule in tested
        if rule.status != "removed"
        for example in rule.examples
    ]


class Checkers:
    """How examples are checked: with all stable rules and the one under test, whatever its status."""

    def __init__(self, known: RuleSet) -> None:
        self._known = known
        self._made: dict[str, Checker] = {}

    def of(self, rule: Rule) -> CheckExample:
        """The check for the examples of one rule."""
        extra = (rule.id,) if rule.status != "stable" else ()
        purpose = purpose_of(rule)
        key = purpose + "".join(extra)
        if key not in self._made:
            self._made[key] = Checker(CheckSettings(extend_select=extra), self._known, purpose)
        checker = self._made[key]
        if purpose == "probe":
            return lambda variables: _probe(checker, variables)
        if purpose == "data":
            return lambda variables: _look_at_data(checker, variables)
        if purpose == "clients":
            return lambda variables: _look_at_clients(checker, variables)

        def check(variables: Mapping[str, Any]) -> tuple[Sequence[Finding], Sequence[NotEvaluated]]:
            report = _asked(checker, variables).check(variables["model"], load=_load_options(variables))
            return report.findings, report.not_evaluated

        return check


def _asked(checker: Checker, variables: Mapping[str, Any]) -> Checker:
    """The checker, told what an example sets of the training to come (`batch_size`) or of the model (`expect`)."""
    names = ("batch_size", "devices", "expect", "classes")
    asked = {name: variables[name] for name in names if name in variables}
    return Checker(replace(checker.settings, **asked), checker.known, like=checker) if asked else checker


_PROBE_OPTIONS = ("steps", "optimizer", "device", "precision", "noise", "jacobian", "sharpness", "lookahead")


def _probe(checker: Checker, variables: Mapping[str, Any]) -> tuple[Sequence[Finding], Sequence[NotEvaluated]]:
    """Probe what an example built, with the settings that it names as variables."""
    options = {name: variables[name] for name in _PROBE_OPTIONS if name in variables}
    prober = make_prober(checker.settings, checker=checker, **options)
    report = prober.probe(
        variables["model"], variables.get("batch"), variables.get("loss"), load=_load_options(variables)
    )
    return report.findings, report.not_evaluated


_DATA_OPTIONS = ("validation", "classes", "preprocessing")


def _look_at_data(checker: Checker, variables: Mapping[str, Any]) -> tuple[Sequence[Finding], Sequence[NotEvaluated]]:
    """Judge the batch that an example built."""
    options = {name: variables[name] for name in _DATA_OPTIONS if name in variables}
    report = DataChecker(checker).check(variables["batch"], **options)
    return report.findings, report.not_evaluated


def _look_at_clients(
    checker: Checker, variables: Mapping[str, Any]
) -> tuple[Sequence[Finding], Sequence[NotEvaluated]]:
    """Judge the clients that an example built."""
    report = ClientsChecker(checker).check(variables["clients"], variables.get("server"))
    return report.findings, report.not_evaluated


def _load_options(variables: Mapping[str, Any]) -> LoadOptions:
    shape = variables.get("input_shape")
    shapes = None if shape is None else (tuple(shape),) if isinstance(shape[0], int) else tuple(map(tuple, shape))
    return LoadOptions(input_shapes=shapes, example=variables.get("example"))
