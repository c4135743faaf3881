"""The error rates in the documentation are those that were measured, and they meet their goals."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.fingerprinting import RESULTS
from benchmarks.fingerprinting.table import as_markdown

PAGE = Path(__file__).parents[2] / "docs/pretrained.md"


def test_the_page_holds_the_committed_rates() -> None:
    [written] = re.findall(r"<!-- rates -->\n(.*)<!-- end of rates -->", PAGE.read_text(encoding="utf-8"), re.S)
    assert written == as_markdown(json.loads(RESULTS.read_text())), "run: python benchmarks/fingerprint.py --markdown"


def test_the_rates_meet_their_goals() -> None:
    report = json.loads(RESULTS.read_text())
    zoo, rates = report["zoo"], report["trained_test"]["rates"]
    assert zoo["tensors"] > 1000
    assert zoo["right"] >= 0.99
    assert rates["trained tensors called trained"] >= 0.95
    assert rates["fresh tensors called trained"] <= 0.01
