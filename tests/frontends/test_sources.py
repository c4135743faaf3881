"""Tensor sources decode what is stored, in C order, in chunks of the size asked for."""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.sources import ArraySource, DequantizedSource, DivisibleSource, FilledSource, release

NUMPY_TYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"]
CODE_TYPES = ["bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
PACKED_TYPES = ["int4", "uint4", "int2", "uint2", "float4_e2m1fn"]


def gathered(source: DivisibleSource, elements: int = 7) -> np.ndarray:
    """All elements; checks that every chunk but the last has the size asked for."""
    pieces = [piece.copy() for piece in source.chunks(elements)]
    assert all(piece.ndim == 1 and piece.dtype in (np.float32, np.float64) for piece in pieces)
    assert all(piece.size == elements for piece in pieces[:-1])
    return np.concatenate(pieces) if pieces else np.zeros(0)


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
@given(data=st.data(), shape=st.lists(st.integers(0, 6), max_size=4).map(tuple), elements=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_array_source_equals_numpy(dtype: str, data: st.DataObject, shape: tuple[int, ...], elements: int) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    array = (generator.normal(size=shape) * 50).astype(dtype)
    source = ArraySource(array)
    assert (source.dtype, source.shape) == (dtype, shape)
    expected = array.astype(np.float64).ravel()
    assert np.array_equal(gathered(source, elements), expected)
    low = data.draw(st.integers(0, array.size))
    high = data.draw(st.integers(low, array.size))
    assert np.array_equal(gathered(source.part(low, high), elements), expected[low:high])


@pytest.mark.parametrize("dtype", CODE_TYPES)
def test_every_code_of_a_narrow_float_decodes_as_ml_dtypes_has_it(dtype: str) -> None:
    codes = np.arange(1 << 16, dtype=np.uint16) if dtype == "bfloat16" else np.arange(256, dtype=np.uint8)
    typed = codes.view(getattr(ml_dtypes, dtype))
    expected = typed.astype(np.float32)
    assert np.array_equal(gathered(ArraySource(codes, dtype), 1000), expected, equal_nan=True)
    assert np.array_equal(gathered(ArraySource(typed), 1000), expected, equal_nan=True)
    raw = ArraySource(codes, dtype).raw()
    assert raw is not None
    assert raw.dtype == codes.dtype
    assert not raw.flags.writeable


@pytest.mark.parametrize("dtype", PACKED_TYPES)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 37])
def test_packed_types_read_lowest_bits_first(dtype: str, count: int) -> None:
    bits = 2 if dtype.endswith("2") else 4
    codes = np.random.default_rng(count).integers(0, 1 << bits, size=count).astype(np.uint8)
    packed = np.zeros(-(-count * bits // 8), np.uint8)
    for index, code in enumerate(codes):
        packed[index * bits // 8] |= code << (index * bits % 8)
    typed = codes.view(ml_dtypes.float4_e2m1fn) if dtype.startswith("float4") else codes
    expected = typed.astype(np.float32)
    if dtype.startswith("int"):
        expected = np.where(expected >= 1 << (bits - 1), expected - (1 << bits), expected)
    source = ArraySource(packed, dtype, (count,))
    assert np.array_equal(gathered(source, 5), expected)
    for low in range(count):
        assert np.array_equal(gathered(source.part(low, count), 3), expected[low:])
        assert np.array_equal(gathered(source.part(low, count).part(0, 1), 3), expected[low : low + 1])
    assert source.raw() is None


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_any_memory_layout_is_read_in_c_order(order: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=(5, 7, 11)).astype(np.float32).transpose(order)
    source = ArraySource(array)
    assert np.array_equal(gathered(source, 13), array.ravel())
    assert np.array_equal(gathered(source.part(20, 300), 13), array.ravel()[20:300])
    assert source.raw() is None


def test_big_endian_storage_is_converted() -> None:
    array = np.arange(10, dtype=">f4")
    assert np.array_equal(gathered(ArraySource(array)), np.arange(10))


def test_bytes_may_hold_any_fixed_width_type() -> None:
    array = np.random.default_rng(1).normal(size=12).astype(np.float32)
    assert np.array_equal(gathered(ArraySource(array.view(np.uint8), "float32", (3, 4))), array)


@pytest.mark.parametrize(
    ("storage", "dtype", "shape"),
    [
        (np.zeros(6, np.float32), "float32", (2, 4)),
        (np.zeros(8, np.float32), "float32", (2, 3)),
        (np.zeros(6, np.float32), "float32", (-2, -3)),
        (np.zeros(2, np.uint8), "int4", (5,)),
        (np.zeros(9, np.uint8), "int4", (5,)),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(storage: np.ndarray, dtype: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(LimitError, match="does not fit"):
        ArraySource(storage, dtype, shape)


@pytest.mark.parametrize(("storage", "dtype"), [(np.zeros(6), "float32"), (np.zeros(7, np.uint8), "float32")])
def test_an_array_that_cannot_hold_the_type_is_refused(storage: np.ndarray, dtype: str) -> None:
    with pytest.raises(FormatError):
        ArraySource(storage, dtype)
    with pytest.raises(FormatError, match="float99"):
        ArraySource(storage, "float99")


def test_raw_shares_memory_and_cannot_be_written() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    raw = ArraySource(array).raw()
    assert raw is not None
    assert np.shares_memory(raw, array)
    assert raw.shape == (6,)
    with pytest.raises(ValueError, match="read-only"):
        raw[0] = 1.0
    array[0, 0] = 5.0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "bfloat16"])
def test_filled_source_repeats_its_value(dtype: str) -> None:
    source = FilledSource(3, dtype, (4, 5))
    assert np.array_equal(gathered(source, 6), np.full(20, 3.0))
    assert np.array_equal(gathered(source.part(3, 8), 6), np.full(5, 3.0))
    raw = source.raw()
    assert raw is None if dtype == "bfloat16" else np.array_equal(raw, np.full(20, 3))


def test_filled_source_takes_no_memory_for_its_size() -> None:
    source = FilledSource(0.5, "float32", (1 << 20, 1 << 20))
    assert next(iter(source.chunks(1024))).size == 1024
    with pytest.raises(LimitError):
        FilledSource(0.5, "float32", (2, -1))


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    axis=st.integers(-4, 3),
    kind=st.sampled_from(["tensor", "axis", "block"]),
    seed=st.integers(0, 1000),
    elements=st.integers(1, 50),
    zeros=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_dequantized_source_equals_the_formula(
    shape: tuple[int, ...], axis: int, kind: str, seed: int, elements: int, zeros: bool
) -> None:
    axis = axis % len(shape) - (len(shape) if axis < 0 else 0)
    generator = np.random.default_rng(seed)
    codes = generator.integers(-128, 128, size=shape).astype(np.int8)
    block = 2
    at = axis % len(shape)
    if kind == "tensor":
        scale_shape: tuple[int, ...] = ()
    elif kind == "axis":
        scale_shape = (shape[at],)
    else:
        scale_shape = (*shape[:at], -(-shape[at] // block), *shape[at + 1 :])
    scale = generator.uniform(0.01, 1, size=scale_shape)
    zero = generator.integers(-128, 128, size=scale_shape) if zeros else None
    source = DequantizedSource(
        ArraySource(codes), scale, zero, axis=axis, block_size=block if kind == "block" else None
    )

    def spread(values: np.ndarray) -> np.ndarray:
        if kind == "axis":
            return values.reshape([-1 if i == at else 1 for i in range(len(shape))])
        if kind == "block":
            return np.repeat(values, block, axis=at).take(range(shape[at]), axis=at)
        return values

    expected = ((codes - (0 if zero is None else spread(zero))) * spread(scale)).ravel()
    assert np.allclose(gathered(source, elements), expected, rtol=1e-6)
    half = prod(shape) // 2
    assert np.allclose(gathered(source.part(half, prod(shape)), elements), expected[half:], rtol=1e-6)
    assert source.raw() is None
    assert source.dtype == "float32"
    assert source.shape == shape


def test_four_bit_weights_with_blocked_scales() -> None:
    packed = np.array([0x21, 0x43, 0x65, 0x87], np.uint8)
    source = DequantizedSource(
        ArraySource(packed, "uint4", (2, 4)), np.array([[1.0, 10.0], [0.5, 2.0]]), np.ones((2, 2)), axis=1, block_size=2
    )
    assert np.array_equal(gathered(source), [0.0, 1.0, 20.0, 30.0, 2.0, 2.5, 12.0, 14.0])


@pytest.mark.parametrize(
    ("scale", "zero", "axis"),
    [(np.ones(3), None, 0), (np.ones(4), np.ones(3), 0), (np.ones((2, 2)), None, 0), (np.ones(4), None, 2)],
)
def test_scales_of_the_wrong_shape_are_refused(scale: np.ndarray, zero: np.ndarray | None, axis: int) -> None:
    with pytest.raises(FormatError):
        DequantizedSource(ArraySource(np.zeros((4, 5), np.int8)), scale, zero, axis=axis)


def test_reading_a_memory_map_hands_its_pages_back(tmp_path: Path) -> None:
    smaps = Path("/proc/self/smaps_rollup")
    if not smaps.exists():
        pytest.skip("resident memory is read from Linux's /proc")
    file = tmp_path / "weights.bin"
    expected = 0.0
    with file.open("wb") as handle:
        for seed in range(8):
            block = np.random.default_rng(seed).normal(size=1 << 20).astype(np.float32)
            expected += float(block.sum(dtype=np.float64))
            handle.write(block.tobytes())
    with file.open("rb") as handle:
        memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    source = ArraySource(np.frombuffer(memory, np.float32))

    def resident() -> int:
        return int(smaps.read_text().split("Rss:")[1].split()[0]) // 1024

    before = resident()
    total, peak = 0.0, 0
    for piece in source.chunks(1 << 16):
        total += float(piece.sum(dtype=np.float64))
        peak = max(peak, resident())
    release(source)
    assert total == pytest.approx(expected)
    assert peak - before < 24, "32 MB were read; what was read is to be handed back"
    assert resident() - before < 8


def test_pages_of_a_writable_map_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(1 << 24))
    with file.open("rb") as handle:
        memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    array = np.frombuffer(memory, np.float32)
    memory[0:4] = np.float32(7.0).tobytes()
    source = ArraySource(array)
    for _ in source.chunks(1 << 16):
        pass
    release(source)
    assert array[0] == 7.0
