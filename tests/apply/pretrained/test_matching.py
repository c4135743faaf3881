"""Which tensor of a file goes where."""

from __future__ import annotations

import pytest

from initadvisor.apply.pretrained import Places, match
from initadvisor.apply.pretrained.grids import grid_of
from initadvisor.apply.pretrained.matching import Match, Tensor

MODEL = {
    "stem.weight": (8, 3, 3, 3),
    "body.0.weight": (16, 8, 3, 3),
    "body.1.weight": (16,),
    "body.1.running_mean": (16,),
    "body.1.num_batches_tracked": (),
    "head.weight": (10, 16),
    "head.bias": (10,),
}
PLACES = Places(heads=frozenset({"head.weight", "head.bias"}), stems=frozenset({"stem.weight"}))


def _tensors(shapes: dict[str, tuple[int, ...]], dtype: str = "float32") -> dict[str, Tensor]:
    return {n: Tensor(s, "int64" if n.endswith("tracked") else dtype) for n, s in shapes.items()}


def _names(found: Match, action: str) -> list[str]:
    return [entry.name for entry in found.of(action)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "backbone.", "encoder.", "_orig_mod.", "module._orig_mod.", "a.b.c."]
)
def test_a_prefix_of_the_file_is_taken_off(prefix: str) -> None:
    found = match(_tensors({prefix + name: shape for name, shape in MODEL.items()}), _tensors(MODEL), PLACES)
    assert _names(found, "renamed") == list(MODEL)
    assert {entry.source for entry in found.entries} == {prefix + name for name in MODEL}
    assert found.unexpected == ()
    # What torch's wrappers put into a name belongs to no prefix.
    assert found.strip == prefix.replace("_orig_mod.", "")


def test_a_bare_file_fits_a_model_inside_another() -> None:
    model = {f"backbone.{name}": shape for name, shape in MODEL.items() if not name.startswith("head")}
    model["classifier.weight"] = (2, 16)
    found = match(_tensors(MODEL), _tensors(model), Places(heads=frozenset({"classifier.weight"})))
    assert found.add == "backbone."
    assert _names(found, "renamed") == [name for name in model if name.startswith("backbone.")]
    assert _names(found, "redrawn") == ["classifier.weight"]
    assert found.unexpected == ("head.weight", "head.bias")


def test_one_prefix_is_exchanged_for_another() -> None:
    found = match(
        _tensors({f"model.{name}": shape for name, shape in MODEL.items()}),
        _tensors({f"net.{name}": shape for name, shape in MODEL.items()}),
    )
    assert (found.strip, found.add) == ("model.", "net.")
    assert len(found.of("renamed")) == len(MODEL)


def test_a_wrapper_in_the_middle_of_a_name_is_seen_through() -> None:
    file = {name.replace("body.", "body._orig_mod."): shape for name, shape in MODEL.items()}
    found = match(_tensors(file), _tensors(MODEL))
    assert _names(found, "renamed") == [name for name in MODEL if name.startswith("body.")]
    assert not found.of("missing", "mismatched")


def test_norms_of_old_checkpoints_are_called_gamma_and_beta() -> None:
    model = {"norm.weight": (8,), "norm.bias": (8,), "fc.weight": (8, 8)}
    found = match(_tensors({"norm.gamma": (8,), "norm.beta": (8,), "fc.weight": (8, 8)}), _tensors(model))
    assert [(entry.name, entry.source) for entry in found.of("renamed")] == [
        ("norm.weight", "norm.gamma"),
        ("norm.bias", "norm.beta"),
    ]


def test_what_is_lacking_is_listed_exactly() -> None:
    file = {name: shape for name, shape in MODEL.items() if name != "body.1.weight"} | {"body.0.weight": (16, 9, 3, 3)}
    found = match(_tensors({**file, "extra.weight": (3, 3)}), _tensors(MODEL), PLACES)
    assert _names(found, "missing") == ["body.1.weight"]
    [wrong] = found.of("mismatched")
    assert (wrong.name, wrong.source_shape, wrong.shape) == ("body.0.weight", (16, 9, 3, 3), (16, 8, 3, 3))
    assert found.unexpected == ("extra.weight",)


def test_a_counter_that_old_files_lack_is_left_alone() -> None:
    file = {name: shape for name, shape in MODEL.items() if not name.endswith("tracked")}
    found = match(_tensors(file), _tensors(MODEL), PLACES)
    assert _names(found, "kept") == ["body.1.num_batches_tracked"]
    assert not found.of("missing")


@pytest.mark.parametrize(
    ("head", "classes", "action"),
    [
        ("auto", 10, "matched"),
        ("auto", 1000, "redrawn"),
        ("redraw", 10, "redrawn"),
        ("keep", 10, "matched"),
        ("keep", 1000, "mismatched"),
    ],
)
def test_a_head_is_drawn_anew_where_that_is_asked_for(head: str, classes: int, action: str) -> None:
    file = {**MODEL, "head.weight": (classes, 16), "head.bias": (classes,)}
    found = match(_tensors(file), _tensors(MODEL), PLACES, head)  # type: ignore[arg-type]
    assert {entry.action for entry in found.entries if entry.name.startswith("head")} == {action}


def test_only_a_stem_is_adapted_to_other_channels() -> None:
    file = {**MODEL, "stem.weight": (8, 4, 3, 3), "body.0.weight": (16, 4, 3, 3)}
    found = match(_tensors(file), _tensors(MODEL), PLACES)
    assert _names(found, "adapted") == ["stem.weight"]
    assert _names(found, "mismatched") == ["body.0.weight"]


def test_integers_are_no_weights() -> None:
    file = _tensors(MODEL) | {"body.0.weight": Tensor((16, 8, 3, 3), "int8")}
    [wrong] = match(file, _tensors(MODEL), PLACES).of("mismatched")
    assert wrong.name == "body.0.weight"
    assert "int8" in wrong.reason


@pytest.mark.parametrize(
    ("given", "wanted", "layout", "prefix"),
    [
        ((1, 197, 8), (1, 577, 8), "rows", 1),
        ((1, 198, 8), (1, 578, 8), "rows", 2),
        ((196, 8), (576, 8), "rows", 0),
        ((169, 4), (529, 4), "rows", 0),  # the offsets of a window of 7, and of 12
        ((1, 14, 14, 8), (1, 24, 16, 8), "last", 0),
        ((1, 8, 14, 14), (1, 8, 7, 7), "first", 0),
    ],
)
def test_a_grid_is_read_off_its_rows(given: tuple[int, ...], wanted: tuple[int, ...], layout: str, prefix: int) -> None:
    grid = grid_of(given, wanted)
    assert grid is not None
    assert (grid.layout, grid.prefix) == (layout, prefix)


@pytest.mark.parametrize(
    ("given", "wanted"), [((1, 197, 8), (1, 577, 16)), ((1, 190, 8), (1, 577, 8)), ((1, 197, 8), (197, 8))]
)
def test_a_table_without_a_grid_is_not_adapted(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert grid_of(given, wanted) is None


def test_the_file_of_a_deeper_model_is_known_by_its_further_blocks() -> None:
    model = {**{f"layers.{i}.weight": (16, 16) for i in range(4)}, "head.weight": (10, 16)}
    file = {
        **{f"net.layers.{i}.weight": (16, 16) for i in range(6)},
        "net.head.weight": (10, 16),
        "neck.weight": (4, 16),
    }
    found = match(_tensors(file), _tensors(model))
    assert found.deeper == ("net.layers.4.weight", "net.layers.5.weight")
    assert set(found.unexpected) == {*found.deeper, "neck.weight"}
    assert match(_tensors(model), _tensors(model)).deeper == ()
