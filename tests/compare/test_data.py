"""Data from names, arrays and files, some of them hostile."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from initadvisor.compare.data import Data, load_data
from initadvisor.errors import FormatError, InitAdvisorError, LimitError, NotFoundError, UnsafeError, UsageError

X = np.arange(60, dtype=np.float32).reshape(20, 3)
Y = np.arange(20) % 4


def test_digits_are_images_of_unit_deviation_split_in_four() -> None:
    data = load_data("digits")
    assert (data.task, data.classes, data.image, data.sample_shape) == ("classification", 10, True, (1, 8, 8))
    assert len(data.x) + len(data.held_x) == 1797
    assert len(data.held_x) == round(1797 / 4)
    assert data.x.mean() == pytest.approx(0, abs=1e-5)
    assert data.x.std() == pytest.approx(1, rel=1e-5)


def test_tables_are_standardized_by_column_on_the_training_part_alone() -> None:
    data = load_data("wine")
    assert data.x.mean(0) == pytest.approx(np.zeros(13), abs=1e-5)
    assert data.x.std(0) == pytest.approx(np.ones(13), rel=1e-5)
    assert abs(data.held_x.mean(0)).max() > 1e-3
    assert (load_data("breast-cancer").classes, load_data("diabetes").task) == (2, "regression")


def test_no_sample_is_both_trained_on_and_held_out_and_the_split_is_always_the_same() -> None:
    one, two = load_data((X, Y)), load_data((X, Y))
    assert np.array_equal(one.x, two.x)
    rows = np.concatenate([one.x, one.held_x])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, X))


def test_arrays_are_taken_as_they_are_and_tensors_too() -> None:
    data = load_data((torch.from_numpy(X), torch.from_numpy(Y)))
    assert {tuple(row) for row in data.x} <= {tuple(row) for row in X}
    assert load_data((X, Y.astype(np.float32))).task == "regression"
    assert load_data((X, Y[:, None])).y.ndim == 1
    assert load_data(data) is data


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_file_gives_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, x=np.asfortranarray(X), y=Y)
    else:
        from safetensors.numpy import save_file

        save_file({"x": X, "y": Y}, path)
    found, direct = load_data(path), load_data((X, Y))
    assert np.array_equal(found.x, direct.x)
    assert np.array_equal(found.held_y, direct.held_y)


def test_half_precision_tensors_are_decoded(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.from_numpy(X).bfloat16(), "y": torch.from_numpy(Y)}, tmp_path / "data.safetensors")
    assert load_data(tmp_path / "data.safetensors").x.max() == pytest.approx(59, abs=0.5)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def header(text: str) -> bytes:
    raw = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("unpickled"),)


def test_pickled_objects_are_refused_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Bomb()] * 20, dtype=object)
    with pytest.raises(UnsafeError, match="pickled"):
        load_data(archive(tmp_path / "a.npz", {"x.npy": npy(objects), "y.npy": npy(Y)}))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError):
        load_data(tmp_path / "b.npz")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }"), LimitError),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), }"), FormatError),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': " + "[" * 50 + ", }"), FormatError),
        (header("__import__('os')"), FormatError),
        (header("{'descr': '<U4', 'fortran_order': False, 'shape': (20, 1), }"), FormatError),
        (header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (20,), }"), FormatError),
        (npy(X)[:-4], LimitError),
        (npy(X) + b"more", LimitError),
        (b"", FormatError),
        (b"\x93NUMPY\x09\x00", FormatError),
    ],
)
def test_an_archive_that_lies_is_refused(tmp_path: Path, content: bytes, kind: type[InitAdvisorError]) -> None:
    with pytest.raises(kind, match=r"lies\.npz"):
        load_data(archive(tmp_path / "lies.npz", {"x.npy": content, "y.npy": npy(Y)}))


def test_a_truncated_or_corrupted_archive_is_refused_wherever_it_is_hurt(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.npz", {"x.npy": npy(X), "y.npy": npy(Y)}).read_bytes()
    hurt = tmp_path / "hurt.npz"
    for place in range(0, len(whole), 7):
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
            hurt.write_bytes(content)
            try:
                found = load_data(hurt)
            except InitAdvisorError:
                continue
            assert found.x.shape == (15, 3)


def test_safetensors_that_lie_are_refused(tmp_path: Path) -> None:
    def written(table: dict[str, object], body: bytes) -> Path:
        text = json.dumps(table).encode()
        path = tmp_path / "data.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + body)
        return path

    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 8]}
    with pytest.raises(LimitError):
        load_data(written({"x": entry}, b"\0" * 8))
    with pytest.raises(FormatError, match="no readable tensor x"):
        load_data(written({"z": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8))
    odd = {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}
    with pytest.raises(FormatError, match="float8"):
        load_data(written({"x": odd}, b"\0" * 8))
    (tmp_path / "data.safetensors").write_bytes(b"")
    with pytest.raises(FormatError):
        load_data(tmp_path / "data.safetensors")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X[:, 0], Y, "has the shape"),
        (X, Y[:-1], "20 samples and y has 19"),
        (X[:4], Y[:4], "too few"),
        (np.where(X == 3, np.nan, X), Y, "1 value of x are NaN"),
        (X, Y - 1, "label -1"),
        (X, Y * 100_000, "classes"),
        (X, np.full(20, np.inf), "NaN or infinite"),
        (X, np.zeros((20, 2), int), "labels are"),
        (X, np.zeros((20, 2, 2)), "targets are"),
        (np.array([["a"] * 3] * 20), Y, "no numbers"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(x: np.ndarray, y: np.ndarray, words: str) -> None:
    with pytest.raises(InitAdvisorError) as raised:
        load_data((x, y))
    assert words in str(raised.value)


def test_what_is_not_there_is_said_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match='did you mean "digits"'):
        load_data("digit")
    with pytest.raises(NotFoundError):
        load_data(tmp_path / "missing.npz")
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(FormatError, match="npz"):
        load_data(tmp_path / "data.csv")
    with pytest.raises(UsageError):
        load_data(3)
    with pytest.raises(FormatError, match="holds a"):
        load_data(archive(tmp_path / "other.npz", {"a.npy": npy(X)}))


def test_integer_tables_may_be_tokens() -> None:
    data: Data = load_data((Y[:, None].repeat(3, 1), Y))
    assert data.x.dtype == np.int64
