"""The rule engine: a rule file is parsed, its expressions are compiled over the known facts, and subjects are judged.

rules = select(discover())
compiled = [CompiledRule(rule, vocabulary) for rule in rules]
judgement = evaluate(compiled, {"layer": [Subject("layer", "fc", facts)]}, available={"graph", "weights"})
"""

from initadvisor.rules.compiled import CompiledRule, Subject
from initadvisor.rules.discovery import RuleSet, collect, discover, packaged_folder, rule_files
from initadvisor.rules.evaluate import Judgement, evaluate
from initadvisor.rules.finding import Finding, Fix, NotEvaluated, SubjectName, fingerprint
from initadvisor.rules.parse import parse, parse_text
from initadvisor.rules.rule import SEVERITIES, Example, Need, Rule, RuleSettings, Severity, Status
from initadvisor.rules.selection import override, parse_param, select
from initadvisor.rules.vocabulary import FactName, FactValue, Scope, Vocabulary, flatten, vocabulary

__all__ = [
    "SEVERITIES",
    "CompiledRule",
    "Example",
    "FactName",
    "FactValue",
    "Finding",
    "Fix",
    "Judgement",
    "Need",
    "NotEvaluated",
    "Rule",
    "RuleSet",
    "RuleSettings",
    "Scope",
    "Severity",
    "Status",
    "Subject",
    "SubjectName",
    "Vocabulary",
    "collect",
    "discover",
    "evaluate",
    "fingerprint",
    "flatten",
    "override",
    "packaged_folder",
    "parse",
    "parse_param",
    "parse_text",
    "rule_files",
    "select",
    "vocabulary",
]
