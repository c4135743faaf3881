"""Bounded samples: spectrum, memory that was never filled, samples of elements and lines."""

from __future__ import annotations

import numpy as np
import pytest

from initadvisor.analysis.tensors.sampling import element_sample, line_sample
from initadvisor.analysis.tensors.spectrum import edge_excess, effective_rank, random_rank_share, singular_values
from initadvisor.analysis.tensors.uninitialised import uninitialised_score
from initadvisor.frontends.sources import ArraySource, DequantizedSource, FilledSource


@pytest.mark.parametrize("shape", [(64, 64), (64, 512), (512, 64), (200, 300)])
@pytest.mark.parametrize("seed", range(3))
def test_a_random_matrix_has_full_effective_rank(shape: tuple[int, int], seed: int) -> None:
    sample = np.random.default_rng(seed).normal(size=shape)
    assert effective_rank(sample) == pytest.approx(1.0, abs=0.02)
    assert effective_rank(sample * 1e-30) == pytest.approx(1.0, abs=0.02)
    assert effective_rank(sample.astype(np.float32)) == pytest.approx(effective_rank(sample), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_a_product_of_thin_factors_has_low_effective_rank(rank: int) -> None:
    generator = np.random.default_rng(rank)
    sample = generator.normal(size=(128, rank)) @ generator.normal(size=(rank, 256))
    found = effective_rank(sample)
    assert found is not None
    assert found * 128 * random_rank_share(0.5) == pytest.approx(rank, rel=0.1)


def test_effective_rank_of_an_identity_is_all_of_it() -> None:
    found = effective_rank(np.eye(50))
    assert found is not None
    assert found * 50 * random_rank_share(1.0) == pytest.approx(50)


def test_effective_rank_says_nothing_where_it_cannot() -> None:
    assert effective_rank(np.ones((3, 100))) is None
    assert effective_rank(np.full((10, 10), np.nan)) is None
    assert effective_rank(np.zeros((10, 10))) == 0.0


def test_singular_values_equal_those_of_a_decomposition() -> None:
    sample = np.random.default_rng(0).normal(size=(20, 50)) * 1e-3
    found = singular_values(sample)
    assert found is not None
    assert np.allclose(found[::-1], np.linalg.svd(sample, compute_uv=False))


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_the_largest_singular_value_of_random_draws_stays_at_the_edge(draw: str) -> None:
    generator = np.random.default_rng(0)
    scores = []
    for _ in range(100):
        sample = generator.normal(size=(60, 200)) if draw == "normal" else generator.uniform(-1, 1, (60, 200)) * 3**0.5
        scores.append(edge_excess(sample, 1.0))
    # Tracy-Widom (real): mean -1.21, standard deviation 1.27 (Bejan 2005, table 1).
    assert np.mean(scores) == pytest.approx(-1.21, abs=0.5)
    assert np.std(scores) == pytest.approx(1.27, abs=0.4)


def test_a_low_rank_update_lifts_the_largest_singular_value_over_the_edge() -> None:
    generator = np.random.default_rng(1)
    sample = generator.normal(size=(100, 200))
    left, right = generator.normal(size=100), generator.normal(size=200)
    update = np.outer(left, right) / np.linalg.norm(left) / np.linalg.norm(right)
    # The spike shows from (m n)^(1/4) on (Baik, Ben Arous and Peche 2005); twice that is far above the edge.
    assert edge_excess(sample + 2 * (100 * 200) ** 0.25 * update, 1.0) > 20


@pytest.mark.parametrize(
    "sample",
    [
        np.random.default_rng(0).normal(size=5000),
        np.random.default_rng(0).uniform(-1, 1, size=5000),
        np.random.default_rng(0).normal(size=5000) * 1e-6,
        np.random.default_rng(0).standard_t(2, size=5000),
        np.random.default_rng(0).laplace(size=5000) ** 3,
        np.where(np.random.default_rng(0).random(5000) < 0.9, 0.0, np.random.default_rng(1).normal(size=5000)),
        np.zeros(5000),
        np.ones(5000),
        np.concatenate([np.random.default_rng(0).normal(size=4000), np.full(1000, 1e-41)]),
        np.concatenate([np.random.default_rng(0).normal(size=4999), [np.nan]]),
        np.concatenate([np.random.default_rng(0).normal(size=4999), [1e30]]),
        np.exp(np.random.default_rng(0).normal(size=5000) * 3),
    ],
    ids=[
        "normal",
        "uniform",
        "tiny",
        "t",
        "cubed",
        "sparse",
        "zeros",
        "ones",
        "decayed",
        "nan",
        "outlier",
        "lognormal",
    ],
)
def test_weights_do_not_look_uninitialised(sample: np.ndarray) -> None:
    assert uninitialised_score(sample.astype(np.float32), "float32") < 0.1


def leftovers(kind: str) -> np.ndarray:
    generator = np.random.default_rng(7)
    bits = generator.integers(0, 2**32, size=4096, dtype=np.uint32)
    if kind == "pointers":
        bits[1::2] = 0x7F3A
    elif kind == "zero pages":
        bits[1024:] = 0
    elif kind == "text":
        bits = np.frombuffer(b"The quick brown fox jumps over the lazy dog. {'name': 17} " * 400, np.uint32)[:4096]
    elif kind == "counters":
        bits = np.arange(4096, dtype=np.uint32) * np.uint32(977) ** 2
    return bits.view(np.float32)


@pytest.mark.parametrize("kind", ["random bits", "pointers", "zero pages", "counters"])
def test_leftover_memory_looks_uninitialised(kind: str) -> None:
    assert uninitialised_score(leftovers(kind), "float32") > 0.5


@pytest.mark.parametrize("count", [10, 100, 5000, 100_000])
def test_an_element_sample_is_bounded_and_spread(count: int) -> None:
    array = np.arange(count, dtype=np.float32)
    sample = element_sample(ArraySource(array), 4096)
    assert sample.size == min(count, 4096)
    assert np.isin(sample, array).all()
    if count > 4096:
        assert sample.max() > 0.9 * count


@pytest.mark.parametrize("lines", [4, 50])
@pytest.mark.parametrize("columns", [3, 64])
def test_a_line_sample_holds_elements_of_its_lines(lines: int, columns: int) -> None:
    array = np.random.default_rng(0).normal(size=(200, 4, 5)).astype(np.float32)
    sample = line_sample(ArraySource(array), lines, columns)
    assert sample.shape == (lines, min(columns, 20))
    step = 200 // lines
    assert np.array_equal(sample, array.reshape(200, 20)[: lines * step : step, :columns])


def test_samples_of_sources_without_raw_memory() -> None:
    codes = np.arange(100, dtype=np.int8).repeat(400).reshape(100, 400)
    source = DequantizedSource(ArraySource(codes), 0.5)
    assert np.array_equal(line_sample(source, 10, 3)[:, 0], np.arange(0, 100, 10) * 0.5)
    assert set(element_sample(source, 1000)) <= set(np.arange(100) * 0.5)
    assert np.array_equal(element_sample(FilledSource(2.0, "float32", (10**6, 10**6)), 512), np.full(512, 2.0))
