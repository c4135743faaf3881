"""Which architecture a set of shapes is."""

from __future__ import annotations

import pytest

from initadvisor.analysis.prefixes import best_prefixes, plain
from initadvisor.analysis.recognition import likeness

NET = {
    "conv1.weight": (8, 3, 3, 3),
    **{f"body.{i}.weight": (8 + i, 8, 3, 3) for i in range(8)},
    "body.8.weight": (32, 64),
    "fc.weight": (1000, 32),
}


def test_the_same_shapes_are_the_same_architecture() -> None:
    assert likeness(NET, NET).exact
    assert likeness(NET, NET).share == 1.0


def test_another_head_and_another_stem_are_named() -> None:
    mine = {**NET, "conv1.weight": (8, 1, 3, 3), "fc.weight": (5, 32)}
    found = likeness(mine, NET)
    assert found.exact
    assert [text.split(" has ")[0] for text in found.differences] == ["conv1.weight", "fc.weight"]


def test_a_transposed_matrix_is_the_same() -> None:
    assert likeness({**NET, "body.8.weight": (64, 32)}, NET).exact


def test_a_head_may_be_left_out() -> None:
    mine = {name: shape for name, shape in NET.items() if name != "fc.weight"}
    assert likeness(mine, NET).exact
    assert "left out" in likeness(mine, NET).differences[0]


@pytest.mark.parametrize("lacking", ["conv1.weight", "body.3.weight"])
def test_anything_else_is_another_architecture(lacking: str) -> None:
    assert not likeness({name: shape for name, shape in NET.items() if name != lacking}, NET).exact


def test_nothing_is_like_nothing() -> None:
    assert likeness({}, NET).share == 0.0
    assert likeness({"bias": (3,)}, NET).share == 0.0


def test_vectors_do_not_count() -> None:
    assert likeness({**NET, "bn.weight": (8,)}, NET).exact


def test_wrappers_are_taken_out_of_a_name() -> None:
    assert plain("_orig_mod.layer._fsdp_wrapped_module.weight") == "layer.weight"
    assert plain("origin.weight") == "origin.weight"


def test_the_prefix_that_explains_most_wins() -> None:
    given = {f"encoder_q.{n}": s for n, s in NET.items()} | {"queue": (3, 3)}
    assert best_prefixes(given, NET) == ("encoder_q.", "")
    assert best_prefixes(NET, NET) == ("", "")
    assert best_prefixes(NET, {f"model.{n}": s for n, s in NET.items()}) == ("", "model.")
