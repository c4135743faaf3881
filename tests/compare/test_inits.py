"""Names of initializations as people write them."""

from __future__ import annotations

import pytest

from initadvisor.compare.inits import parse_inits
from initadvisor.errors import UsageError


def test_short_names_stand_for_methods_of_the_field() -> None:
    found = parse_inits("he, xavier,lecun,delta-orthogonal")
    methods = [init.spec.method for init in found if init.spec is not None]
    assert methods == ["kaiming_normal", "xavier_normal", "lecun_normal", "delta_orthogonal"]
    assert [init.name for init in found] == ["he", "xavier", "lecun", "delta-orthogonal"]


def test_own_names_draw_nothing_by_a_method() -> None:
    kinds = [(init.kind, init.spec) for init in parse_inits(["as-is", "recommended", "lsuv"])]
    assert kinds == [("as_is", None), ("recommended", None), ("lsuv", None)]


def test_parameters_have_types_and_may_be_several() -> None:
    first, second, third = parse_inits("orthogonal:gain=1.4,centred=true,he:mode=fan_out,normal:std=0.1")
    assert first.spec is not None
    assert first.spec.params == {"gain": 1.4, "centred": True}
    assert second.spec is not None
    assert second.spec.params == {"mode": "fan_out"}
    assert third.name == "normal:std=0.1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no initialization"),
        ("xaviar", 'did you mean "xavier"'),
        ("qqqqqq", "there are as-is"),
        ("he,he", "named twice"),
        ("lsuv:tries=3", "takes no parameters"),
        ("he:nope=1", "nope"),
        ("orthogonal:gain", "sets no parameter"),
        ("orthogonal:gain=[1]", "not a number or a word"),
        ("constant", "needs the parameter"),
    ],
)
def test_what_is_none_is_refused_with_a_way_out(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_inits(text)
    assert words in str(raised.value)
