"""Many alike become one entry, and nothing that tells them apart is lost or made up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.report.folding import fold_alike, fold_messages, fold_names
from initadvisor.rules import Finding
from tests.report.samples import HOSTILE, finding


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([f"layers.{n}.fc" for n in range(12)], ["layers.{0..11}.fc"]),
        (["a", "b", "c"], ["a", "b", "c"]),
        (["x.0.w", "x.1.w"], ["x.0.w", "x.1.w"]),
        ([str(n) for n in range(1, 61, 2)], ["1, 3, .. 59"]),
        ([f"m.{n}" for n in range(1, 61, 2)], ["m.{1,3,..59}"]),
        ([f"m.{n}" for n in (0, 4, 5)], ["m.{0,4,5}"]),
        ([f"m.{n}" for n in (0, 4, 5, 9, 11, 20, 21)], ["m.{0,4,5,..21}"]),
        (["conv1", "conv2", "conv3", "head"], ["conv{1..3}", "head"]),
        # Of two numbers the one that most names share is left open.
        ([f"stage.{a}.{b}.fc" for a in (0, 1) for b in range(3)], ["stage.0.{0..2}.fc", "stage.1.{0..2}.fc"]),
        (["a.07", "a.08", "a.09"], ["a.0{7..9}"]),
        ([], []),
    ],
)
def test_names_that_differ_in_one_number_are_one(names: list[str], folded: list[str]) -> None:
    assert fold_names(names) == folded


@given(st.lists(st.lists(st.sampled_from(["a", "0", "1", "2", "12", "b3", ""]), min_size=1, max_size=3), max_size=12))
def test_folding_loses_no_name(parts: list[list[str]]) -> None:
    names = list(dict.fromkeys(".".join(each) for each in parts))
    folded = fold_names(names)
    assert len(folded) <= len(names)
    patterns = [re.sub(r"\\{[^}]*\\}", r"\\d+", re.escape(text)) for text in folded]
    bare = any(", " in text or re.fullmatch(r"\d+\.\.\d+", text) for text in folded)
    for name in names:
        matched = any(re.fullmatch(pattern, name) for pattern in patterns)
        assert matched or (bare and name.isdecimal())


def _small(ratio: str, layer: str = "fc") -> Finding:
    made = finding(name=layer, message=f"at {layer} rms {ratio} over fan_in 64 is 0.{ratio[-1]}x of conv1")
    return made.model_copy(update={"evidence": {"layer.name": layer}})


def test_messages_that_differ_in_numbers_are_one_with_ranges() -> None:
    found = fold_messages([_small("0.013"), _small("0.011"), _small("0.019")])
    assert [text for text, _ in found] == ["at fc rms 0.011 to 0.019 over fan_in 64 is 0.1 to 0.9x of conv1"]
    assert len(found[0][1]) == 3


def test_a_layer_called_by_a_number_is_no_number() -> None:
    found = fold_messages([_small("0.011", "1"), _small("0.012", "2")])
    assert [text for text, _ in found] == [
        "at 1 rms 0.011 over fan_in 64 is 0.1x of conv1",
        "at 2 rms 0.012 over fan_in 64 is 0.2x of conv1",
    ]


@pytest.mark.parametrize(
    ("texts", "folded"),
    [
        (["80% of 3", "99% of 3"], ["80 to 99% of 3"]),
        (["grows 1e-03x.", "grows 2.5e+02x."], ["grows 1e-03 to 2.5e+02x."]),
        (["see layer1.0.bn3", "see layer1.1.bn3"], ["see layer1.0.bn3", "see layer1.1.bn3"]),
        (["(std 0.1, gain 2)", "(std 0.05, gain 2)"], ["(std 0.05 to 0.1, gain 2)"]),
        (["ゲイン 0.4 倍", "ゲイン 0.2 倍"], ["ゲイン 0.2 to 0.4 倍"]),
        (["ゲインは0.4倍", "ゲインは0.2倍"], ["ゲインは0.2 to 0.4倍"]),
        ([HOSTILE], [HOSTILE]),
    ],
)
def test_texts(texts: list[str], folded: list[str]) -> None:
    assert [text for text, _ in fold_alike((text, finding()) for text in texts)] == folded
