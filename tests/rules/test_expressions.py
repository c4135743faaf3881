"""Expressions: names and types are checked when compiled, unknown facts give the third answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.rules.expressions import Expression, ExpressionError, Failed, compile_expression, inline
from initadvisor.rules.vocabulary import FactValue
from tests.rules.samples import VOCABULARY

NAMES = VOCABULARY.of("layer")


def compiled(source: str) -> Expression:
    return compile_expression(source, NAMES)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("layer.gian < 1.0", '"layer.gian"', 'did you mean "layer.gain"?'),
        ("layer.gain < 1", "does not take", "every number is a double: write 8.0 for 8"),
        ("layer.kind > 1.0", "does not take (string, double)", None),
        ("layer.has_bias == 1.0", "does not take (bool, double)", None),
        ("layer.gain.mean > 1.0", "", None),
        ("tensor > 1.0", "", None),
        ("nothing()", "nothing", None),
        ("layer.gain <", "syntax error", None),
        ("has(layer.gain)", "has() is not available", "known(fact) tells whether a fact is known"),
        ("known(layer.gian)", '"layer.gian"', 'did you mean "layer.gain"?'),
        ("[1, 2]", "list<int>", None),
        ("", "", None),
        ("true" + " && true" * 1000, "characters", None),
    ],
)
def test_what_does_not_fit_is_refused_when_compiled(source: str, message: str, hint: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        compiled(source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    if hint:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("source", "facts", "expected"),
    [
        ("layer.gain < 1.0", {"layer.gain": 0.5}, True),
        ("layer.gain < 1.0", {"layer.gain": 1.5}, False),
        ("layer.gain < 1.0", {}, "layer.gain"),
        ("layer.kind == 'norm' && layer.gain < 1.0", {"layer.kind": "linear"}, False),
        ("layer.gain < 1.0 && layer.kind == 'norm'", {"layer.kind": "linear"}, False),
        ("layer.kind == 'linear' && layer.gain < 1.0", {"layer.kind": "linear"}, "layer.gain"),
        ("layer.kind == 'linear' || layer.gain < 1.0", {"layer.kind": "linear"}, True),
        ("layer.block_gains.exists(g, g > 2.0)", {"layer.block_gains": [1.0, 3.0]}, True),
        ("layer.blocks.exists(b, b == 'q') && layer.gain > 0.0", {"layer.blocks": []}, False),
        ("layer.kind in ['linear', 'norm']", {"layer.kind": "norm"}, True),
        ("{'relu': 2.0}[layer.activation] > 1.0", {"layer.activation": "tanh"}, None),
        ("known(tensor.trainable)", {}, False),
        ("!known(tensor.trainable) || tensor.trainable", {}, True),
        ("!known(tensor.trainable) || tensor.trainable", {"tensor.trainable": False}, False),
        ("layer.name == 'known(layer.gain)'", {"layer.name": "known(layer.gain)"}, True),
        ('layer.name == "layer.gian"', {"layer.name": "x"}, False),
        ("layer.gain / 0.0 > 1.0", {"layer.gain": 1.0}, True),
        ("layer . gain > 1.0", {"layer.gain": 2.0}, True),
    ],
)
def test_three_answers(source: str, facts: dict[str, FactValue], expected: bool | str | None) -> None:
    answer = compiled(source).evaluate(facts)
    if isinstance(expected, bool):
        assert answer is expected
    else:
        assert isinstance(answer, Failed)
        assert answer.fact == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("math.sqrt(layer.fan_in)", 4.0),
        ("math.abs(-layer.fan_in)", 16.0),
        ("math.log(layer.fan_in)", math.log(16)),
        ("math.log10(layer.fan_in)", math.log10(16)),
        ("math.exp(layer.fan_in)", math.exp(16)),
        ("math.pow(layer.fan_in, 0.25)", 2.0),
        ("math.least(layer.fan_in, 3.0)", 3.0),
        ("math.greatest(layer.fan_in, 3.0)", 16.0),
    ],
)
def test_functions(source: str, expected: float) -> None:
    assert compiled(source).evaluate({"layer.fan_in": 16.0}) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("source", ["math.log(layer.gain) > 0.0", "math.exp(layer.fan_in) > 0.0"])
def test_a_function_outside_its_domain_is_no_answer_with_a_reason(source: str) -> None:
    answer = compiled(source).evaluate({"layer.gain": -1.0, "layer.fan_in": 1e6})
    assert isinstance(answer, Failed)
    assert answer.fact is None
    assert "math" in answer.why
    assert "\n" not in answer.why


def test_work_is_bounded() -> None:
    digits = "[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]"
    source = "true"
    for name in "abcdefgh":
        source = f"{digits}.all({name}, {source})"
    answer = compiled(source).evaluate({})
    assert isinstance(answer, Failed)
    assert "budget" in answer.why


def test_references_are_the_facts_that_it_reads() -> None:
    expression = compiled("layer.gain < 1.0 && layer.name.startsWith('layer.fan_in') || tensor.std > layer.gain")
    assert expression.references == ("layer.gain", "layer.name", "tensor.std")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_filling_in_definitions_changes_no_value(gain: float, recommended: float, fan: float) -> None:
    facts: dict[str, FactValue] = {"layer.gain": gain, "layer.recommended_gain": recommended, "layer.fan_in": fan}
    definitions = {"ratio": "layer.gain / layer.recommended_gain", "scaled": "ratio * layer.fan_in"}
    filled = compiled(inline("scaled < 2.0 || ratio > 1.0", definitions)).evaluate(facts)
    ratio = compiled("layer.gain / layer.recommended_gain").evaluate(facts)
    assert isinstance(ratio, float)
    assert filled is (ratio * fan < 2.0 or ratio > 1.0)


def test_filling_in_leaves_texts_and_longer_names_alone() -> None:
    assert inline("r > 1.0 && layer.name != 'r' && rr", {"r": "a"}) == "(a) > 1.0 && layer.name != 'r' && rr"


def test_definitions_that_explode_are_refused() -> None:
    doubling = {f"v{n}": f"v{n - 1} + v{n - 1}" if n else "layer.gain" for n in range(40)}
    with pytest.raises(ExpressionError, match="too large"):
        inline("v39 > 1.0", doubling)


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    try:
        expression = compiled(source)
    except ExpressionError:
        return
    expression.evaluate({})
