"""Array files of strangers: the rows that were asked for, or an error that says what is off."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.errors import FormatError, InitAdvisorError, LimitError, NotFoundError, UnsafeError
from initadvisor.frontends.data_files import read_data
from initadvisor.frontends.data_files.numpy_file import read_npy, read_npz


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "u1", "i8", "?"])
@pytest.mark.parametrize("most", [1, 7, 50])
def test_the_rows_in_front_come_back(tmp_path: Path, order: str, dtype: str, most: int) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, (20, 3, 4)), dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array)
    expected = array[:most]
    for read in (read_npy(tmp_path / "a.npy", most), read_npz(tmp_path / "a.npz", most)["x"]):
        np.testing.assert_array_equal(read, expected)
        assert read.dtype == expected.dtype.newbyteorder("=")


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path(tmp_path / "ran").touch, ()

    np.save(tmp_path / "o.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=np.array([Trap()], dtype=object))
    for name in ("o.npy", "o.npz"):
        with pytest.raises(UnsafeError, match="pickled"):
            read_data(str(tmp_path / name), 8)
    assert not (tmp_path / "ran").exists()


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("shape", ["(1000000000000, 8)", "(4, -2)", "(2,) * 3", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "(3,)"])
def test_a_header_that_lies_is_an_error(tmp_path: Path, shape: str) -> None:
    (tmp_path / "a.npy").write_bytes(_header(shape) + b"\0" * 8)
    with pytest.raises((FormatError, LimitError)):
        read_npy(tmp_path / "a.npy", 10**13)


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _header("(16, 1048576)") + b"\0" * (64 << 20))
    assert read_npz(tmp_path / "b.npz", 1)["x"].shape == (1, 1 << 20)
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for number in range(100):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(LimitError, match="100 arrays"):
        read_npz(tmp_path / "many.npz", 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_give_an_error_of_ours_or_an_array(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((4, 3), "f4"), y=np.arange(4))
    whole = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    try:
        read_data(str(path), 4)
    except InitAdvisorError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_two_sets_in_one_file_are_told_apart(tmp_path: Path) -> None:
    x, y = np.zeros((6, 2)), np.arange(6)
    np.savez(tmp_path / "two.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    held = read_data(str(tmp_path / "two.npz"), 100)
    assert set(held.source) == set(held.validation) == {"x", "y"}
    assert len(held.validation["x"]) == 2
    np.savez(tmp_path / "plain.npz", x, y)
    assert set(read_data(str(tmp_path / "plain.npz"), 100).source) == {"x", "y"}


def test_what_does_not_go_together_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((6, 2)), y=np.arange(5))
    with pytest.raises(FormatError, match="x 6, y 5"):
        read_data(str(tmp_path / "a.npz"), 100)
    with pytest.raises(NotFoundError):
        read_data(str(tmp_path / "none.npy"), 100)
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(FormatError, match="npz"):
        read_data(str(tmp_path / "a.csv"), 100)
