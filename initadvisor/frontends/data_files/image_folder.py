"""A folder of images, its subfolders the classes: a random part of it, decoded, with what could not be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from initadvisor.errors import FormatError, LimitError, MissingExtraError, first_line

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
SIDE = 64
"""Pixels that the shorter side is brought to: enough for levels, colours and copies."""

MAX_PIXELS = 1 << 26
"""Of one image, declared in its header: 67 million, 256 MB once decoded."""

MAX_FILES = 1_000_000
SEED = 0


def read_folder(folder: Path, most: int) -> tuple[np.ndarray, np.ndarray | None, list[str], list[str]]:
    """(images, labels, class names, files that cannot be decoded with the reason) of a random part of a folder.

    images: uint8, (samples, 3, 64, 64): the middle of each, its shorter side brought to 64 pixels. labels: by the
    name of the first folder below, in alphabetical order; None where the images lie in the folder itself.
    Raises FormatError where there is no image, or none that can be read; MissingExtraError without Pillow.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("reading images", package="pillow") from error
    files = sorted(_files(folder))
    if not files:
        raise FormatError(f"{folder} holds no images", hint=f"files that end in {', '.join(SUFFIXES)}")
    names = sorted({relative.parts[0] for relative in files if len(relative.parts) > 1})
    number = {name: place for place, name in enumerate(names)}
    order = np.random.default_rng(SEED).permutation(len(files))
    images: list[np.ndarray] = []
    labels: list[int] = []
    broken: list[str] = []
    for place in order[:most]:
        file = files[place]
        try:
            images.append(_decoded(folder / file, Image))
        except LimitError as error:
            broken.append(f"{file}: {error.message}")
        except Exception as error:  # decoders raise what they like on damaged files
            broken.append(f"{file}: {first_line(error, 120)}")
        else:
            labels.append(number[file.parts[0]] if len(file.parts) > 1 else -1)
    if not images:
        raise FormatError(f"none of the {len(broken)} images of {folder} can be read: {broken[0]}")
    whole = bool(names) and min(labels) >= 0
    return np.stack(images), np.array(labels) if whole else None, names, broken


def _files(folder: Path) -> Iterator[Path]:
    """Images by their path below the folder; links to folders are not followed."""
    seen = 0
    for at, _, names in os.walk(folder):
        for name in names:
            seen += 1
            if seen > MAX_FILES:
                raise LimitError(f"{folder} holds over {MAX_FILES} files", hint="name a part of it")
            path = Path(at, name)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".") and path.is_file():
                yield path.relative_to(folder)


def _decoded(path: Path, image: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that is off; what cannot be decoded raises
        with image.open(path) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise LimitError(f"declares {width} x {height} pixels; at most {MAX_PIXELS} are decoded")
            opened.draft("RGB", (SIDE, SIDE))
            colours = opened.convert("RGB")
        factor = SIDE / min(width, height)
        small = colours.resize((max(SIDE, round(width * factor)), max(SIDE, round(height * factor))))
        left, top = (small.width - SIDE) // 2, (small.height - SIDE) // 2
        part = np.asarray(small.crop((left, top, left + SIDE, top + SIDE)))
    return np.ascontiguousarray(np.moveaxis(part, -1, 0))
