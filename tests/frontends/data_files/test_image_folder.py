"""Folders of images: classes by name, a part of the files, and what cannot be decoded."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from initadvisor.errors import FormatError
from initadvisor.frontends.data_files.image_folder import SIDE, read_folder


def _image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (80, 70)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_subfolders_are_the_classes_and_pixels_keep_their_levels(tmp_path: Path) -> None:
    for number in range(4):
        _image(tmp_path / "dog" / f"{number}.png", (200, 10, 30))
        _image(tmp_path / "cat" / "more" / f"{number}.bmp", (1, 2, 3))
    images, labels, names, broken = read_folder(tmp_path, 100)
    assert images.shape == (8, 3, SIDE, SIDE)
    assert names == ["cat", "dog"]
    assert not broken
    assert labels is not None
    assert (images[labels == 1] == np.array([200, 10, 30])[:, None, None]).all()
    assert (images[labels == 0] == np.array([1, 2, 3])[:, None, None]).all()


def test_a_part_of_a_folder_is_drawn_from_all_of_it(tmp_path: Path) -> None:
    for name in "abcd":
        for number in range(30):
            _image(tmp_path / name / f"{number}.png", (9, 9, 9), (8, 8))
    _, labels, _, _ = read_folder(tmp_path, 40)
    assert labels is not None
    assert len(labels) == 40
    assert set(labels) == {0, 1, 2, 3}


def _bomb() -> bytes:
    """A PNG that declares 100000 x 100000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_what_cannot_be_decoded_is_named_with_the_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{number}.jpg")
    whole = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bomb.png").write_bytes(_bomb())
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.gif").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")
    images, labels, _, broken = read_folder(tmp_path, 100)
    assert len(images) == 2
    assert labels is None
    told = {text.partition(":")[0]: text for text in broken}
    assert set(told) == {"0.jpg", "bomb.png", "text.png", "empty.gif"}
    assert "pixels" in told["bomb.png"]
    assert "truncated" in told["0.jpg"]


def test_a_folder_without_readable_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no images"):
        read_folder(tmp_path, 10)
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(FormatError, match=r"none of the 1 images .* a\.png"):
        read_folder(tmp_path, 10)
