"""The documentation site builds without a warning, and has a page or an entry for everything that there is."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from initadvisor.initializers import METHODS
from initadvisor.rules import discover
from tests.cli.running import ROOT, environment


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _text(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_rule_has_a_page_with_its_message_and_examples(site: Path) -> None:
    index = _text(site / "rules/index.html")
    for rule in discover(packs=False):
        assert rule.id in index
        if rule.status == "removed":
            continue
        page = _text(site / "rules" / rule.id / "index.html")
        assert rule.name in page
        assert " ".join(rule.active.message.split()) in " ".join(page.split())
        assert rule.active.ja is None or rule.active.ja.title in page
        # A fence that a page did not close would swallow what follows.
        assert "```" not in page
        for heading in ("What it does", "Why it matters", "When to ignore it", "References"):
            assert heading in page


def test_every_initializer_command_and_option_is_described(site: Path) -> None:
    methods = _text(site / "initializers/index.html")
    assert all(name in methods and method.summary.split(".")[0] in methods for name, method in METHODS.items())
    import click

    from initadvisor.cli.main import cli

    page = _text(site / "cli/index.html")
    ctx = click.Context(cli, info_name="initadvisor")
    for name in cli.list_commands(ctx):
        command = cli.get_command(ctx, name)
        assert command is not None
        assert f"initadvisor {name}" in page
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(option in page for option in parameter.opts)


def test_facts_and_report_keys_are_described(site: Path) -> None:
    from initadvisor.engine.look import vocabulary
    from initadvisor.report import Report

    facts = _text(site / "facts/index.html")
    assert all(name in facts for group in vocabulary().groups.values() for name in group)
    report = _text(site / "report/index.html")
    assert all(key in report for key in Report.model_fields)


def test_benchmarks_carry_their_day_and_machine(site: Path) -> None:
    rows = re.findall(r"<tr>\s*<td>.*?</tr>", (site / "benchmarks/index.html").read_text(encoding="utf-8"), re.DOTALL)
    assert len(rows) >= 6
    for row in rows:
        assert re.search(r"20\d\d-\d\d-\d\d", row), row
        assert "cores" in row or "Processor" in row, row


def test_the_site_needs_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link)[^>]+(?:src|href)="https?://', page)
    assert os.path.exists(site / "search")
