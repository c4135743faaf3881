"""A rule file becomes a rule, or an error that names the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from initadvisor.errors import RuleError
from initadvisor.rules import Rule, parse, parse_text
from initadvisor.rules.parse import MAX_BYTES
from tests.rules.samples import SECTIONS, block, rule, rule_text

PATH = Path("variance/T001-sample-rule.md")


def read(text: str) -> Rule:
    return parse_text(text, PATH)


def test_every_part_of_a_rule_is_read() -> None:
    text = rule_text(
        block(
            needs='["graph", "weights"]',
            p="{ low = 1, names = ['a', 'b'], on = true, some = [1, 2.5] }",
            let='{ ratio = "layer.gain / p.low" }',
            fix='{ initializer = "recommended", params = { gain = "{layer.gain}" }, safety = "safe-before-training" }',
            also='["IA005"]',
        )
    )
    text += '\n```python bad title="too small"\nmodel = 1\n```\n\n```python good\nmodel = 2\n```\n'
    parsed = read(text)
    assert (parsed.id, parsed.name, parsed.category, parsed.status) == ("T001", "sample-rule", "variance", "stable")
    assert parsed.active.p == {"low": 1.0, "names": ["a", "b"], "on": True, "some": [1.0, 2.5]}
    assert isinstance(parsed.active.p["low"], float)
    assert isinstance(parsed.active.p["on"], bool)
    assert parsed.active.needs == ("graph", "weights")
    assert parsed.active.also == ("IA005",)
    assert [(e.kind, e.title, e.code) for e in parsed.examples] == [
        ("bad", "too small", "model = 1\n"),
        ("good", "", "model = 2\n"),
    ]
    assert text.splitlines()[parsed.examples[0].line - 1] == "model = 1"
    assert parsed.sections["Why it matters"].startswith("It matters")


def test_a_removed_rule_stays_findable_without_its_page() -> None:
    parsed = read(rule_text('status = "removed"\nsince = "0.1"\nremoved = "0.3"\nreplaced_by = ["T002"]', rest=""))
    assert parsed.status == "removed"
    with pytest.raises(LookupError, match=r"removed in 0\.3"):
        _ = parsed.active


@pytest.mark.parametrize(
    ("block_text", "line", "message"),
    [
        (block(severty='"x"'), 10, r'unknown key "severty" \(did you mean "severity"\?\)'),
        (block(severity='"fatal"'), 6, 'severity: "fatal" is not one of error, warning, info'),
        (block(severity='"warnin"'), 6, r'did you mean "warning"\?'),
        (block(scope='"layers"'), 7, r'did you mean "layer"\?'),
        (block(fix='{ safty = "manual" }'), 10, r'unknown key "fix\.safty" \(did you mean "safety"\?\)'),
        (block(needs='["graphs"]'), 10, r'did you mean "graph"\?'),
        (block(let='{ Ratio = "1.0" }'), 10, 'let: "Ratio" is not a lower_case name'),
        (block(p="{ a-b = 1 }"), 10, 'p: "a-b" is not a lower_case name'),
        (block().replace('since = "0.1"\n', ""), None, 'the key "since" is missing'),
        ("status = \n", 4, "TOML: Invalid value"),
        (block() + '\nstatus = "stable"', 10, "TOML: Cannot overwrite a value"),
        (block(p="{ when = 1979-05-27 }"), 10, "p"),
    ],
)
def test_a_fault_in_the_block_names_key_and_line(block_text: str, line: int | None, message: str) -> None:
    with pytest.raises(RuleError, match=message) as caught:
        read(rule_text(block_text))
    place = f"{PATH}:{line}:" if line else f"{PATH}:"
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rule_text(block(), title="# T001 sample-rule"), "the first heading must read"),
        (rule_text(block(), title="# t001 `sample-rule`"), "the first heading must read"),
        (rule_text(block(), title="# T002 `sample-rule`"), "must have a name that starts with T002"),
        ("# T001 `a`\n" + SECTIONS, "exactly one ```toml rule block; this one has 0"),
        (rule_text(block()) + "\n```toml rule\n```\n", "this one has 2"),
        (rule_text(block(), rest=SECTIONS.replace("References", "Reference")), r'"## References" is missing \(did you'),
        (rule_text(block(), rest=SECTIONS.replace("Never.", "")), '"## When to ignore it" is empty'),
        (rule_text(block()) + "\n```python ugly\nx\n```\n", "an example opens with"),
        (rule_text(block()) + "\n```python bad\nx\n", "is never closed"),
        ("", "the first heading must read"),
    ],
)
def test_a_fault_in_the_page_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith(f"{PATH}:")


def test_plain_python_blocks_are_prose(tmp_path: Path) -> None:
    assert read(rule_text(block()) + "\n```python\nx\n```\n").examples == ()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (MAX_BYTES + 1), b"\x00" * 100])
def test_files_that_are_not_pages_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "T001-x.md"
    path.write_bytes(content)
    with pytest.raises(RuleError, match=r"T001-x\.md"):
        parse(path)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot read the rule file"):
        parse(tmp_path / "T001-none.md")


def test_a_rule_knows_where_its_keys_stand() -> None:
    assert rule(let='{ a = "1.0" }').where("when") == f"{Path('some/T001-sample-rule.md')}:8"
