"""The examples of rule files as tests: what `initadvisor rule test` and the test suite both run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from initadvisor.engine.checker import Checker, CheckSettings
from initadvisor.errors import RuleError
from initadvisor.frontends.options import LoadOptions
from initadvisor.rules import Finding, NotEvaluated, Rule, RuleSet, collect, discover, rule_files
from initadvisor.rules.examples import Outcome, run_example


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
    merged = {**discover().rules, **tested.rules}
    return list(tested), RuleSet(dict(sorted(merged.items())))


def run_all(tested: Sequence[Rule], known: RuleSet) -> list[Outcome]:
    """Run every example of the rules under test, with all known rules judging."""
    return [
        run_example(rule, example, checker_of(rule, known))
        for rule in tested
        if rule.status != "removed"
        for example in rule.examples
    ]


def checker_of(rule: Rule, known: RuleSet) -> Any:
    """How an example of a rule is checked: with all stable rules and this one, whatever its status."""

    def check(variables: Mapping[str, Any]) -> tuple[Sequence[Finding], Sequence[NotEvaluated]]:
        shape = variables.get("input_shape")
        shapes = None if shape is None else (tuple(shape),) if isinstance(shape[0], int) else tuple(map(tuple, shape))
        load = LoadOptions(input_shapes=shapes, example=variables.get("example"))
        report = Checker(CheckSettings(extend_select=(rule.id,), load=load), known).check(variables["model"])
        return report.findings, report.not_evaluated

    return check
