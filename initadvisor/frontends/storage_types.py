"""How the elements of each storage type become real numbers: the one table behind every tensor source.

Eight-bit and smaller floats follow the OCP 8-bit floating point specification and OCP Microscaling (MX) 1.0;
the `fnuz` forms follow arXiv 2206.02915 (one NaN in the place of minus zero, no infinities).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from initadvisor.errors import FormatError

Decode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class StorageType:
    """One storage type: `bits` per element, the numpy type that holds it, and `decode` from that to real numbers.

    Types below 8 bits are packed, lowest bits first, into `uint8`; `decode` then takes one code per byte.
    """

    name: str
    bits: int
    storage: np.dtype
    decode: Decode

    @property
    def packed(self) -> bool:
        """Whether several elements share one byte."""
        return self.bits < 8

    def nbytes(self, count: int) -> int:
        """The bytes that `count` elements take."""
        return (count * self.bits + 7) // 8


def storage_type(name: str) -> StorageType:
    """Look a storage type up by its numpy-style name; raises FormatError for a name outside the table."""
    try:
        return STORAGE_TYPES[name]
    except KeyError:
        raise FormatError(f"tensor type {name!r} is not one that can be read") from None


def _single(stored: np.ndarray) -> np.ndarray:
    return stored.astype(np.float32, copy=False)


def _double(stored: np.ndarray) -> np.ndarray:
    return stored.astype(np.float64, copy=False)


def _magnitude(stored: np.ndarray) -> np.ndarray:
    magnitude: np.ndarray = np.abs(stored)
    return magnitude


def _bfloat16(stored: np.ndarray) -> np.ndarray:
    wide = stored.astype(np.uint32)
    np.left_shift(wide, 16, out=wide)
    return wide.view(np.float32)


def _table(build: Callable[[], np.ndarray]) -> Decode:
    table = cache(build)
    return lambda stored: table()[stored]


def _minifloat(exponent_bits: int, mantissa_bits: int, bias: int, specials: str) -> np.ndarray:
    """Every code of a small float as float32.

    specials: "ieee" (top exponent holds Inf and NaN), "fn" (only the all-ones code is NaN), "fnuz" (only the code
    of minus zero is NaN) or "finite" (none).
    """
    codes = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    sign = np.where(codes >> (exponent_bits + mantissa_bits), -1.0, 1.0)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (codes & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    values = sign * np.where(exponent == 0, mantissa * 2.0 ** (1 - bias), (1 + mantissa) * 2.0 ** (exponent - bias))
    top = exponent == (1 << exponent_bits) - 1
    if specials == "ieee":
        values[top] = np.where(mantissa[top] == 0, sign[top] * np.inf, np.nan)
    elif specials == "fn":
        values[top & (mantissa == 1 - 2.0**-mantissa_bits)] = np.nan
    elif specials == "fnuz":
        values[codes == 1 << (exponent_bits + mantissa_bits)] = np.nan
    return values.astype(np.float32)


def _power_of_two() -> np.ndarray:
    values = 2.0 ** (np.arange(256) - 127.0)
    values[255] = np.nan
    return values.astype(np.float32)


def _signed(bits: int) -> np.ndarray:
    codes = np.arange(1 << bits)
    return np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes).astype(np.float32)


def _types() -> dict[str, StorageType]:
    table: dict[str, StorageType] = {}

    def add(name: str, bits: int, storage: str, decode: Decode) -> None:
        table[name] = StorageType(name, bits, np.dtype(storage), decode)

    add("float32", 32, "<f4", _single)
    add("float64", 64, "<f8", _double)
    add("float16", 16, "<f2", _single)
    add("bfloat16", 16, "<u2", _bfloat16)
    add("bool", 8, "|u1", _single)
    for signed, letter in (("int", "i"), ("uint", "u")):
        add(f"{signed}8", 8, f"|{letter}1", _single)
        add(f"{signed}16", 16, f"<{letter}2", _single)
        add(f"{signed}32", 32, f"<{letter}4", _double)
        add(f"{signed}64", 64, f"<{letter}8", _double)
    add("complex64", 64, "<c8", _magnitude)
    add("complex128", 128, "<c16", _magnitude)
    for name, exponent, mantissa, bias, specials in (
        ("float8_e4m3fn", 4, 3, 7, "fn"),
        ("float8_e4m3fnuz", 4, 3, 8, "fnuz"),
        ("float8_e5m2", 5, 2, 15, "ieee"),
        ("float8_e5m2fnuz", 5, 2, 16, "fnuz"),
        ("float4_e2m1fn", 2, 1, 1, "finite"),
    ):
        code = _table(lambda e=exponent, m=mantissa, b=bias, s=specials: _minifloat(e, m, b, s))  # type: ignore[misc]
        add(name, 1 + exponent + mantissa, "|u1", code)
    add("float8_e8m0fnu", 8, "|u1", _table(_power_of_two))
    for bits in (2, 4):
        add(f"int{bits}", bits, "|u1", _table(lambda b=bits: _signed(b)))  # type: ignore[misc]
        add(f"uint{bits}", bits, "|u1", _single)
    return table


STORAGE_TYPES: dict[str, StorageType] = _types()
