"""The facts of whole graphs: every tensor measured once, on any number of threads, from any kind of source."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from initadvisor.analysis.facts.tensor import TensorFacts
from initadvisor.analysis.tensor_facts import expected_largest, tensor_facts
from initadvisor.frontends.sources import ArraySource, DequantizedSource, FilledSource
from initadvisor.graph import Graph, Layer, Layout, Parameter, TensorSource


def graph(*parameters: Parameter, layers: list[Layer] | None = None) -> Graph:
    return Graph("test", "torch", parameters={p.name: p for p in parameters}, layers=layers or [])


def parameter(name: str, array: np.ndarray, **given: object) -> Parameter:
    return Parameter(name, array.shape, array.dtype.name, ArraySource(array), **given)  # type: ignore[arg-type]


def facts_of(array: np.ndarray, layout: Layout | None = None) -> TensorFacts:
    layers = [Layer("w", "linear", "linear", "w", layout=layout)] if layout else []
    return tensor_facts(graph(parameter("w", array), layers=layers))["w"]


def drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 0.05).astype(np.float32)


@pytest.mark.parametrize("shape", [(40, 30), (600, 700), (64, 32, 3, 3), (9, 1), (3,), (1,), ()])
def test_plain_facts_equal_numpy(shape: tuple[int, ...]) -> None:
    array = np.asarray(drawn(shape))
    found = facts_of(array)
    exact = array.astype(np.float64)
    assert (found.name, found.dtype, found.shape, found.rank, found.count) == (
        "w",
        "float32",
        shape,
        len(shape),
        exact.size,
    )
    assert found.mean == pytest.approx(exact.mean(), abs=1e-7)
    assert found.std == pytest.approx(exact.std(), rel=1e-5, abs=1e-12)
    assert found.rms == pytest.approx(sqrt(np.square(exact).mean()), rel=1e-5)
    assert (found.min, found.max, found.absmax) == (exact.min(), exact.max(), np.abs(exact).max())
    assert (found.nan_count, found.inf_count, found.zero_fraction, found.subnormal_fraction) == (0, 0, 0.0, 0.0)
    assert found.constant == (exact.size == 1)
    if exact.size > 1:
        standard = (exact - exact.mean()) / exact.std()
        # Of a large tensor the kurtosis is that of 32,768 elements: its standard error is sqrt(24 / n).
        assert found.kurtosis == pytest.approx((standard**4).mean(), abs=0.0 if exact.size < 1 << 15 else 0.1, rel=1e-3)
        assert found.mean_z == pytest.approx(exact.mean() / exact.std() * sqrt(exact.size), abs=1e-3)


def test_shares_of_zeros_and_subnormals() -> None:
    array = drawn((100, 100))
    array[:30] = 0.0
    array[30:40] = 1e-40
    found = facts_of(array)
    assert (found.zero_fraction, found.subnormal_fraction) == (0.3, 0.1)
    half = np.full((100, 10), 1e-5, np.float16)
    half[:50] = 0.5
    assert facts_of(half).subnormal_fraction == 0.5


def test_not_a_number_is_counted_and_the_rest_measured() -> None:
    array = drawn((300, 400))
    array[0, :3] = np.nan, np.inf, -np.inf
    found = facts_of(array)
    assert (found.nan_count, found.inf_count) == (1, 2)
    assert found.std == pytest.approx(0.05, rel=0.02)
    assert found.constant is False


def test_rows_follow_the_layout_of_the_layer() -> None:
    array = drawn((60, 80))
    array[:, 5] = array[:, 7]
    assert facts_of(array, Layout((0,), (1,))).duplicate_rows == 0.0
    assert facts_of(array, Layout((1,), (0,))).duplicate_rows == pytest.approx(1 / 80)
    scaled = drawn((200, 400)) * np.linspace(1, 3, 200, dtype=np.float32)[:, None]
    spread = facts_of(scaled, Layout((0,), (1,))).row_std_spread
    assert spread == pytest.approx(2.9 / 1.1, rel=0.1)
    assert facts_of(scaled, Layout((1,), (0,))).row_std_spread == pytest.approx(1.0, abs=0.25)


def test_a_constant_tensor() -> None:
    found = facts_of(np.full((20, 30), 0.25, np.float32))
    assert found.constant is True
    assert (found.std, found.mean, found.duplicate_rows) == (0.0, 0.25, pytest.approx(19 / 20))
    assert found.draw is not None
    assert found.draw.method == "constant"
    assert (found.kurtosis, found.row_std_spread, found.effective_rank, found.mean_z) == (None, None, None, None)


def test_low_rank_and_full_rank() -> None:
    generator = np.random.default_rng(0)
    low = (generator.standard_normal((300, 3)) @ generator.standard_normal((3, 400))).astype(np.float32)
    low_rank, full_rank = facts_of(low).effective_rank, facts_of(drawn((300, 400))).effective_rank
    assert low_rank is not None
    assert low_rank < 0.1
    assert full_rank == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("count", [1000, 30_000, 1_000_000])
def test_the_expected_largest_of_normal_draws(count: int) -> None:
    rounds = max(3_000_000 // count, 3)
    seen = [np.abs(np.random.default_rng(seed).standard_normal(count)).max() for seed in range(rounds)]
    assert expected_largest(count) == pytest.approx(np.mean(seen), rel=0.05)


def test_an_outlier_stands_out_by_its_ratio() -> None:
    array = drawn((300, 300))
    calm = facts_of(array).outlier_ratio
    array[7, 7] = 5.0
    loud = facts_of(array).outlier_ratio
    assert calm == pytest.approx(1.0, abs=0.3)
    assert loud == pytest.approx(5.0 / (0.05 * expected_largest(array.size)), rel=0.05)


def test_copies_are_counted_and_constants_among_their_kind() -> None:
    one = drawn((50, 60))
    found = tensor_facts(
        graph(
            parameter("a", one), parameter("b", one.copy()), parameter("c", drawn((50, 60), 1)),
            parameter("z1", np.zeros(9, np.float32)), parameter("z2", np.zeros(9, np.float32)),
            parameter("z3", np.zeros(8, np.float32)),
        )
    )  # fmt: skip
    assert {name: fact.copies for name, fact in found.items()} == {"a": 1, "b": 1, "c": 0, "z1": 1, "z2": 1, "z3": 0}


def test_leftover_memory_is_recognised() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, size=(64, 64), dtype=np.uint32)
    found = facts_of(bits.view(np.float32))
    assert found.uninitialised is not None
    assert found.uninitialised > 0.5
    assert facts_of(drawn((64, 64))).uninitialised == 0.0


def test_every_kind_of_source() -> None:
    codes = np.random.default_rng(0).integers(-127, 128, size=(40, 50)).astype(np.int8)
    meta = Parameter("meta", (3, 4), "float32", None)
    huge = Parameter("huge", (1 << 20, 1 << 20), "float32", FilledSource(0.5, "float32", (1 << 20, 1 << 20)))
    quantized = Parameter("q", (40, 50), "float32", DequantizedSource(ArraySource(codes), 0.1))
    steps = parameter("steps", np.array(7, np.int64), buffer=True)
    running = parameter("running_mean", drawn((64,)), buffer=True)
    empty = parameter("empty", np.zeros((0, 4), np.float32))
    found = tensor_facts(graph(meta, huge, quantized, steps, running, empty))
    assert list(found) == ["meta", "huge", "q", "steps", "running_mean", "empty"]
    assert (found["meta"].count, found["meta"].std, found["meta"].draw) == (12, None, None)
    assert (found["huge"].mean, found["huge"].std, found["huge"].constant) == (0.5, 0.0, True)
    assert found["q"].std == pytest.approx((codes * 0.1).std(), rel=1e-6)
    assert (found["steps"].mean, found["steps"].draw) == (7.0, None)
    assert (found["running_mean"].draw, found["running_mean"].buffer) == (None, True)
    assert (found["empty"].count, found["empty"].mean) == (0, None)


class Stream:
    """A source that can only be read from its beginning."""

    dtype = "float32"

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        for start in range(0, self.array.size, elements):
            yield self.array.reshape(-1)[start : start + elements]

    def raw(self) -> np.ndarray | None:
        return None


def test_a_source_without_random_access_is_read_too() -> None:
    array = drawn((70, 80))
    source: TensorSource = Stream(array)
    found = tensor_facts(graph(Parameter("w", array.shape, "float32", source)))["w"]
    assert found.std == pytest.approx(array.std(), rel=1e-5)
    assert found.duplicate_rows == 0.0


def test_threads_do_not_change_the_facts() -> None:
    parameters = [parameter(f"w{i}", drawn((400 + i, 300), i)) for i in range(6)]
    parameters.append(parameter("large", drawn((5000, 1200), 9)))
    alone, together = tensor_facts(graph(*parameters), threads=1), tensor_facts(graph(*parameters), threads=4)
    assert {n: f.model_dump_json() for n, f in alone.items()} == {n: f.model_dump_json() for n, f in together.items()}


def test_progress_ends_at_the_whole() -> None:
    seen: list[tuple[int, int]] = []
    tensor_facts(
        graph(parameter("a", drawn((50, 60))), parameter("b", drawn((10,)))), progress=lambda *p: seen.append(p)
    )
    assert seen[-1][0] == seen[-1][1] == (50 * 60 + 10) * 4
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_facts_are_json_without_infinities() -> None:
    array = drawn((20, 30))
    array[0, 0] = np.inf
    for weight in (
        array,
        np.full((9, 9), np.nan, np.float32),
        np.zeros((3, 3), np.float32),
        np.array([3.4e38, -3.4e38]),
    ):
        text = facts_of(np.asarray(weight, np.float32)).model_dump_json()
        assert "Infinity" not in text
        assert "NaN" not in text
        json.loads(text)


EXTREMES = [0.0, -0.0, 1.0, -1.0, 1e-300, 1e-45, 1e-30, 3e38, -3e38, 6e4, 1e300, np.nan, np.inf, -np.inf, 0.1, 0.25]


@given(
    values=arrays(
        np.float64, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9), elements=st.sampled_from(EXTREMES)
    ),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    axis=st.integers(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_no_content_breaks_the_measurement(values: np.ndarray, dtype: str, axis: int) -> None:
    with np.errstate(all="ignore"):
        array = values.astype(dtype)
    layout = Layout((axis,), (1 - axis,)) if array.ndim >= 2 else None
    found = facts_of(array, layout)
    held = array.astype(np.float64)
    finite = held[np.isfinite(held)]
    assert found.nan_count == (np.isnan(held).sum() if held.size else None)
    assert found.inf_count == (np.isinf(held).sum() if held.size else None)
    if finite.size:
        assert (found.min, found.max) == (finite.min(), finite.max())
        assert found.std == pytest.approx(scaled_std(finite), rel=1e-6, abs=1e-300)
    assert "Infinity" not in found.model_dump_json()


def scaled_std(values: np.ndarray) -> float:
    scale = np.abs(values).max() or 1.0
    return float((values / scale).std() * scale)


def test_a_mapped_file_is_read_without_staying_resident(tmp_path: Path) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("resident memory is read from Linux's /proc")
    file = tmp_path / "weights.bin"
    with file.open("wb") as handle:
        for seed in range(12):
            handle.write(drawn((1024, 1024), seed).tobytes())
    with file.open("rb") as handle:
        memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    held = [np.frombuffer(memory, np.float32, 1 << 20, i << 22).reshape(1024, 1024) for i in range(12)]

    def resident() -> int:
        return int(status.read_text().split("RssFile:")[1].split()[0]) // 1024

    before = resident()
    found = tensor_facts(graph(*(parameter(f"w{i}", array) for i, array in enumerate(held))), threads=1)
    assert len(found) == 12
    assert resident() - before < 16, "48 MB were read"
