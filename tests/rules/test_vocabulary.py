"""Facts become names with types, and values become what expressions take."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from initadvisor.rules import flatten, vocabulary


class Draw(BaseModel):
    method: str | None = Field(default=None, description="Which.")
    gain: float | None = None


class Facts(BaseModel):
    name: str
    side: Literal["left", "right"] | None = None
    count: int | None = Field(default=None, json_schema_extra={"unit": "elements"}, description="How many.")
    frozen: bool | None = None
    shape: tuple[int, ...] | None = None
    parts: tuple[str, ...] | None = None
    draw: Draw | None = None


def test_names_types_and_units_are_read_off_the_models() -> None:
    names = vocabulary({"layer": {"layer": Facts}, "both": {"layer": Facts, "draw": Draw}})
    assert {name: fact.type for name, fact in names.of("layer").items()} == {
        "layer.name": "text",
        "layer.side": "text",
        "layer.count": "number",
        "layer.frozen": "flag",
        "layer.shape": "numbers",
        "layer.parts": "texts",
        "layer.draw.method": "text",
        "layer.draw.gain": "number",
    }
    assert names.of("layer")["layer.count"].unit == "elements"
    assert names.of("layer")["layer.count"].description == "How many."
    assert "draw.gain" in names.of("both")
    assert names.of("other") == {}


def test_a_type_without_counterpart_is_refused() -> None:
    class Odd(BaseModel):
        value: bytes

    with pytest.raises(TypeError, match="bytes"):
        vocabulary({"layer": {"layer": Odd}})


def test_known_facts_become_plain_values() -> None:
    facts = Facts(name="a", count=3, frozen=False, shape=(2, 3), parts=("q",), draw=Draw(gain=math.nan, method="m"))
    flat = flatten("layer", facts, {})
    assert flat == {
        "layer.name": "a",
        "layer.count": 3.0,
        "layer.frozen": False,
        "layer.shape": [2.0, 3.0],
        "layer.parts": ["q"],
        "layer.draw.method": "m",
    }
    assert isinstance(flat["layer.count"], float)


@given(st.text(alphabet=st.characters(), max_size=20))
def test_any_name_can_be_stored(name: str) -> None:
    flat = flatten("layer", Facts(name=name), {})
    text = flat["layer.name"]
    assert isinstance(text, str)
    text.encode("utf-8")
    assert text == name or any(0xD800 <= ord(c) < 0xE000 for c in name)


def test_lone_surrogates_are_escaped() -> None:
    assert flatten("layer", Facts.model_construct(name="a\udc80b", draw=None), {})["layer.name"] == "a\\udc80b"
