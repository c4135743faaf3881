"""Run the examples of a rule file: each `bad` must raise its rule and nothing else that is an error, each `good` none.

Examples are Python code and run with all rights of the process: run only those of files that you trust. Checking a
model never runs them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from initadvisor.rules.finding import Finding, NotEvaluated
from initadvisor.rules.rule import Example, Rule

CheckExample = Callable[[Mapping[str, Any]], tuple[Sequence[Finding], Sequence[NotEvaluated]]]
"""Checks what an example built (its variables) and gives the findings and the rules without an answer."""

_PRELUDE = """
import numpy as np
import onnx
import torch
from torch import nn
torch.manual_seed(0)
np.random.seed(0)
"""
# As text, so that rules stay importable where torch is not installed.


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one example went: `problem` is empty where it did as its rule says."""

    rule: Rule
    example: Example
    problem: str = ""

    @property
    def label(self) -> str:
        """The example in words: rule, kind, title or line."""
        return label_of(self.rule, self.example)


def label_of(rule: Rule, example: Example) -> str:
    """An example in words: rule, kind, title or line."""
    return f"{rule.id} {example.kind} {example.title or f'line {example.line}'}"


def run_example(rule: Rule, example: Example, check: CheckExample) -> Outcome:
    """Build the example's model, check it, and compare with what its rule promises."""
    try:
        namespace = build(rule, example)
    except Exception as error:
        return Outcome(rule, example, f"the code raised {type(error).__name__}: {error}")
    subject = {"batch": "batch", "client": "clients", "clients": "clients"}.get(rule.active.scope, "model")
    if subject not in namespace:
        return Outcome(rule, example, f"the code sets no variable `{subject}`")
    try:
        findings, not_evaluated = check(namespace)
    except Exception as error:
        return Outcome(rule, example, f"the check raised {type(error).__name__}: {error}")
    return Outcome(rule, example, judge(rule, example, findings, not_evaluated))


def build(rule: Rule, example: Example) -> dict[str, Any]:
    """Run the code of an example and give its variables; torch, nn, np and onnx are at hand, and the seed is fixed."""
    namespace: dict[str, Any] = {"__name__": f"example_of_{rule.id}"}
    exec(compile(_PRELUDE, "<prelude>", "exec"), namespace)
    # Blank lines put the code where it stands in the rule file, so that a traceback points there.
    source = "\n" * (example.line - 1) + example.code
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, str(rule.path or rule.id), "exec"), namespace)
    return namespace


def judge(rule: Rule, example: Example, findings: Sequence[Finding], not_evaluated: Sequence[NotEvaluated] = ()) -> str:
    """What is wrong with the findings on an example, or nothing."""
    own = [finding for finding in findings if finding.rule == rule.id]
    allowed = {rule.id, *rule.active.also} if example.kind == "bad" else set()
    others = [f for f in findings if f.severity == "error" and f.rule not in allowed]
    told = "; ".join(f"{f.rule} on {f.subject.name or 'the model'}: {f.message}" for f in (others or own)[:3])
    if example.kind == "bad" and not own:
        reasons = sorted({row.reason for row in not_evaluated if row.rule == rule.id})
        return "the rule found nothing" + (f"; not evaluated: {'; '.join(reasons[:3])}" if reasons else "")
    if example.kind == "good" and own:
        return f"the rule fired: {told}"
    if others:
        return f"other errors: {told}"
    return ""
