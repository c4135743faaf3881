"""The rules that this server judges by, and their pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from initadvisor.engine.results import first_sentence
from initadvisor.rules import Rule
from initadvisor.service.api.checks import The
from initadvisor.service.problems import Problem, documented
from initadvisor.service.schemas import RulePage, RuleView

router = APIRouter(prefix="/v1/rules", tags=["rules"])


@router.get("", response_model=list[RuleView])
def listed(service: The) -> list[RuleView]:
    """Every rule."""
    return [_view(rule) for rule in service.rules]


@router.get("/{rule_id}", response_model=RulePage, responses=documented(404, 422))
def one(rule_id: Annotated[str, Path(max_length=80)], service: The) -> RulePage:
    """The page of a rule, by its id."""
    rule = service.rules.rules.get(rule_id)
    if rule is None:
        raise Problem(404, "there is no rule of that id", kind="no-rule")
    return RulePage(**_view(rule).model_dump(), text=rule.text)


def _view(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        name=rule.name,
        status=rule.status,
        category=rule.category,
        severity=None if rule.status == "removed" else rule.active.severity,
        summary=first_sentence(rule.sections.get("What it does", "")),
    )
