"""Messages show named facts and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.rules.messages import MessageError, parse_message, show
from tests.rules.samples import VOCABULARY

NAMES = VOCABULARY.of("layer")


def formatted(source: str, **facts: object) -> str:
    values = {key.replace("_", ".", 1): value for key, value in facts.items()}
    return parse_message(source, NAMES).format(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "facts", "expected"),
    [
        ("std {tensor.std:.3g}", {"tensor_std": 0.123456}, "std 0.123"),
        ("{layer.fan_in}", {"layer_fan_in": 64.0}, "64"),
        ("{layer.fan_in}", {"layer_fan_in": 4.5}, "4.5"),
        ("{layer.gain}", {"layer_gain": 0.123456789}, "0.1235"),
        ("{layer.gain:.0%}", {"layer_gain": 0.123}, "12%"),
        ("{layer.gain}", {"layer_gain": float("inf")}, "inf"),
        ("{layer.gain}", {}, "unknown"),
        ("{layer.has_bias}", {"layer_has_bias": True}, "yes"),
        ("{layer.blocks}", {"layer_blocks": ["q", "k"]}, "q, k"),
        ("{layer.block_gains:.2f}", {"layer_block_gains": [1.0, 0.5]}, "1.00, 0.50"),
        ("100% {{x}} {layer.name}", {"layer_name": "{tensor.std}"}, "100% {x} {tensor.std}"),
    ],
)
def test_formats(source: str, facts: dict[str, object], expected: str) -> None:
    assert formatted(source, **facts) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{layer.gian}",
        "{layer.name.__class__}",
        "{layer.name[0]}",
        "{layer.name!r}",
        "{layer.gain:>1000000000}",
        "{layer.gain:.999f}",
        "{layer.gain:{layer.fan_in}}",
        "{layer.name:10}",
        "{0}",
        "{}",
        "{layer.gain",
        "layer.gain}",
    ],
)
def test_everything_else_is_refused(source: str) -> None:
    with pytest.raises(MessageError):
        parse_message(source, NAMES)


@given(st.text())
def test_names_from_a_model_are_only_text(name: str) -> None:
    assert formatted("<{layer.name}>", layer_name=name) == f"<{name}>"


@given(st.floats(-1e300, 1e300))
def test_plain_numbers_keep_four_digits(value: float) -> None:
    assert float(show(value)) == pytest.approx(value, rel=5e-4)
