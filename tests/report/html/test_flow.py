"""The model folded by module."""

from __future__ import annotations

from initadvisor.report import Details, FlowStep
from initadvisor.report.html.flow import Block, blocks_of
from initadvisor.report.html.marks import Marks
from tests.report.samples import finding, report

STEPS = (
    FlowStep(operator="conv", where="stem", layer="stem", shape=(1, 8)),
    FlowStep(operator="conv", where="body.0.conv1", layer="body.0.conv1", inputs=(0,)),
    FlowStep(operator="relu", where="body.0.act", inputs=(1,)),
    FlowStep(operator="add", where="body.0", inputs=(2, 0)),
    FlowStep(operator="conv", where="body.1.conv1", layer="body.1.conv1", inputs=(3,)),
    FlowStep(operator="relu", where="body.1.act", shape=(None, 4), inputs=(4,)),
    FlowStep(operator="linear", where="head.fc", layer="head.fc", inputs=(5,)),
)


def shown(blocks: list[Block]) -> list[object]:
    return [[b.name, shown(b.inner)] if b.operator is None else f"{b.name}:{b.operator.name}" for b in blocks]


def test_neighbours_of_one_module_are_a_block_and_a_module_with_one_operator_is_that_operator() -> None:
    made = blocks_of(report(details=Details(flow=STEPS, operators=7)), Marks())
    assert shown(made) == [
        "stem:conv",
        ["body", [["0", ["conv1:conv", "act:relu", ":add"]], ["1", ["conv1:conv", "act:relu"]]]],
        "head.fc:linear",
    ]


def test_only_what_does_not_come_from_the_step_before_says_where_it_comes_from() -> None:
    made = blocks_of(report(details=Details(flow=STEPS, operators=7)), Marks())
    add = made[1].inner[0].inner[2].operator
    assert add is not None
    assert [(origin.number, origin.name) for origin in add.origins] == [(3, "act relu"), (1, "stem conv")]
    assert [b.operator.origins for b in (made[0], made[2]) if b.operator] == [[], []]


def test_a_block_counts_the_findings_within_it() -> None:
    made = report(
        finding(name="body.0.conv1"),
        finding("IA102", "body.1.conv1", "warning"),
        layers=(),
        details=Details(flow=STEPS, operators=7),
    )
    marks = Marks({f.subject.name: () for f in made.findings})
    assert blocks_of(made, marks)[1].counts == []
    rows = report().layers
    named = made.model_copy(
        update={"layers": tuple(rows[0].model_copy(update={"name": s.layer, "weight": None}) for s in STEPS if s.layer)}
    )
    [_, body, _] = blocks_of(named, Marks.of(named))
    assert body.counts == [("error", 1), ("warning", 1)]
    assert [block.counts for block in body.inner] == [[("error", 1)], [("warning", 1)]]


def test_a_path_of_thousands_of_modules_does_not_nest_as_deep() -> None:
    deep = ".".join(["a"] * 5000)
    steps = tuple(FlowStep(operator="relu", where=f"{deep}.{i % 2}") for i in range(4))
    [block] = blocks_of(report(details=Details(flow=steps, operators=4)), Marks())

    def depth(one: Block) -> int:
        return 1 + max((depth(inner) for inner in one.inner), default=0)

    assert depth(block) <= 14
