"""The nine reduced model-zoo graphs: read, said to be constant; filled with drawn weights, free of errors."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.integration.judging import check, named
from tests.integration.light_graphs import NAMES, filled, path_of


def test_there_are_nine() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_of_placeholders_is_read_and_said_to_be_constant(name: str) -> None:
    report = check(path_of(name))
    assert report.coverage.parameters == pytest.approx(1.0)
    constant = [f for f in report.findings if f.rule == "IA004"]
    # A constant depthwise filter is a box filter, and a constant head parts at the first step: neither is an error.
    layers = [row for row in report.layers if row.op in ("conv", "gemm") and row.shape is not None]
    ordinary = [row for row in layers if row.shape[1] > 1 and row.name != layers[-1].name]
    assert {finding.subject.name for finding in constant} >= {row.name for row in ordinary}
    assert all("0.02" in finding.message for finding in constant)
    assert {rule for rule, _ in named(report, "error")} == {"IA014"}


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_with_drawn_weights_is_clean(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.onnx"
    onnx.save(filled(name), path)
    report = check(path)
    assert report.coverage.parameters == pytest.approx(1.0)
    assert named(report, "error", "warning") == set()
