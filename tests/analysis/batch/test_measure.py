"""Facts of data against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from initadvisor.analysis.batch import Preprocessing, Samples, batch_facts
from initadvisor.analysis.batch.measure import kind_of
from initadvisor.analysis.facts import InputFacts, LabelFacts
from initadvisor.errors import UsageError

IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 32, "ImageNet")


def _facts(
    array: np.ndarray, labels: np.ndarray | None = None, **options: object
) -> tuple[InputFacts, LabelFacts | None]:
    found = dict(batch_facts(Samples({"x": array}, labels), **options))  # type: ignore[arg-type]
    return found["x"]["input"], found["labels"]["labels"] if labels is not None else None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((8, 3, 32, 32), np.float32, "image"),
        ((8, 32, 32, 3), np.uint8, "image"),
        ((8, 5), np.float32, "features"),
        ((8, 12, 5), np.float32, "sequence"),
        ((8, 12), np.int64, "tokens"),
        ((8, 64, 7, 7), np.float32, "sequence"),
    ],
)
def test_kinds(shape: tuple[int, ...], dtype: type, kind: str) -> None:
    assert kind_of(np.zeros(shape, dtype)) == kind


@pytest.mark.parametrize("layout", ["first", "last"])
def test_channels_are_found_in_both_layouts(layout: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((16, 3, 9, 9)) + np.array([0.0, 0.0, 2.0]).reshape(3, 1, 1)
    facts, _ = _facts(images if layout == "first" else np.moveaxis(images, 1, -1))
    assert facts.channels == 3
    assert facts.center_at == 2
    assert facts.center == pytest.approx(2.0, rel=0.1)
    assert facts.cast_at == 2
    assert facts.constant_channels == 0


def test_levels_of_known_numbers() -> None:
    facts, _ = _facts(np.array([[1.0, 10.0], [3.0, 10.0], [np.nan, 10.0], [np.inf, 10.0]]))
    assert facts.non_finite == 0.25
    assert facts.constant_channels == 1
    assert facts.center == pytest.approx(2.0)
    assert (facts.min, facts.max) == (1.0, 10.0)


def test_nothing_finite_gives_no_levels() -> None:
    facts, _ = _facts(np.full((4, 2), np.nan))
    assert facts.non_finite == 1.0
    assert facts.mean is None


@pytest.mark.parametrize("way", ["right", "reversed", "unit", "bytes"])
def test_what_was_done_to_bytes_is_recognised(way: str) -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (8, 3, 32, 32)).astype(np.float32)
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
    images = {
        "right": (raw / 255 - mean) / std,
        "reversed": (raw / 255 - mean[::-1]) / std[::-1],
        "unit": raw / 255,
        "bytes": raw,
    }[way]
    expected = _facts(images, preprocessing=IMAGENET)[0].expected
    assert expected is not None
    assert expected.on_grid is not None
    assert expected.on_grid_reversed is not None
    assert expected.on_grid_as_bytes is not None
    assert (expected.on_grid > 0.99) == (way == "right")
    assert (expected.on_grid_reversed > 0.99) == (way == "reversed")
    assert (expected.on_grid_as_bytes > 0.99) == (way in ("unit", "bytes"))
    assert (expected.outside > 0.5) == (way == "bytes")
    assert expected.side_ratio == 1.0


def test_another_number_of_channels_is_not_compared() -> None:
    assert _facts(np.zeros((4, 1, 8, 8)), preprocessing=IMAGENET)[0].expected is None


@pytest.mark.parametrize(
    "settings", [{}, {"mean": 1, "std": 2}, {"mean": [0.5], "std": [0.0]}, {"mean": [1, 2], "std": [1]}]
)
def test_a_preprocessing_that_makes_no_sense_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Preprocessing.of(settings)


def test_labels_by_count() -> None:
    labels = np.array([0, 0, 0, 0, 1, 3, -100, -1])
    _, facts = _facts(np.zeros((8, 2)), labels, classes=3)
    assert facts is not None
    assert facts.seen == 4
    assert facts.outside == 2
    assert facts.imbalance == 4.0
    assert facts.gaps == 1
    assert facts.min == -1.0


def test_a_repeated_sample_and_a_shared_one() -> None:
    a = np.arange(20.0).reshape(10, 2)
    a[5] = a[4]
    found = dict(batch_facts(Samples({"x": a}), Samples({"x": np.concatenate((a[:2], a[:2] + 100))})))
    facts = found["x"]["input"]
    assert isinstance(facts, InputFacts)
    assert facts.duplicates == pytest.approx(0.1)
    assert facts.overlap == 0.5


def test_torch_and_numpy_agree() -> None:
    from initadvisor.analysis.batch import gather

    x = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    a, b = (dict(batch_facts(gather(each)))["input"]["input"] for each in (x, x.numpy()))
    assert a == b
