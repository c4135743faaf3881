"""What a target of `initadvisor data` names, as something to take samples from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from initadvisor.errors import FormatError, NotFoundError
from initadvisor.frontends.data_files.image_folder import read_folder
from initadvisor.frontends.data_files.numpy_file import read_npy, read_npz

_SPLITS = ("train", "test", "val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Samples by name, or what yields them, with a second set where the same file holds one.

    stored: whether the numbers are as they lie on disk (bytes of pictures) rather than as a model is fed them.
    unreadable: files that hold no readable sample, each with the reason. classes: names of the labels.
    """

    source: Any
    validation: Any = None
    stored: bool = False
    unreadable: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read_data(target: str, most: int) -> DataSet:
    """The data of an .npy, .npz or .safetensors file, a folder of images, or "package.module:callable".

    most: samples that are wanted. The last kind runs code. Raises a LoadError where it cannot be read.
    """
    path = Path(target)
    if path.is_dir():
        images, labels, classes, broken = read_folder(path, most)
        held = {"images": images} | ({"labels": labels} if labels is not None else {})
        note = "images are looked at as files: how they are scaled and normalized is only seen in arrays or a loader"
        return DataSet(held, None, True, tuple(broken), tuple(classes), (note,))
    if ":" in target and not path.exists():
        from initadvisor.frontends.references import data_of

        return DataSet(data_of(target))
    if not path.is_file():
        raise NotFoundError(
            f"there is no data {target}", hint="an .npy or .npz file, a folder of images, or package.module:loader"
        )
    if path.suffix == ".npy":
        return DataSet(read_npy(path, most))
    if path.suffix == ".npz":
        return _named(path, read_npz(path, most))
    if path.suffix == ".safetensors":
        return _named(path, _tensors(path, most))
    raise FormatError(
        f"cannot read {path} as data", hint=".npy, .npz and .safetensors hold arrays; a folder holds images"
    )


def _named(path: Path, arrays: dict[str, np.ndarray]) -> DataSet:
    """Arrays by their names; x_train, y_train, x_test and y_test are two sets, arr_0 and arr_1 inputs and labels."""
    arrays = {name: array for name, array in arrays.items() if array.ndim}
    if not arrays:
        raise FormatError(f"{path} holds no array")
    ends = {name.rpartition("_")[2] for name in arrays}
    second = next((end for end in _SPLITS[1:] if end in ends), None)
    if "train" in ends and second is not None:
        first = {n.rpartition("_")[0]: a for n, a in arrays.items() if n.endswith("_train")}
        other = {n.rpartition("_")[0]: a for n, a in arrays.items() if n.endswith(f"_{second}")}
        return DataSet(_paired(path, first), _paired(path, other))
    if set(arrays) == {"arr_0", "arr_1"}:
        arrays = {"x": arrays["arr_0"], "y": arrays["arr_1"]}
    return DataSet(_paired(path, arrays))


def _paired(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    sizes = {len(array) for array in arrays.values()}
    if len(sizes) > 1:
        told = ", ".join(f"{name} {len(array)}" for name, array in list(arrays.items())[:5])
        raise FormatError(f"{path}: the arrays are not of one length: {told}", hint="samples lie on the first axis")
    return arrays


def _tensors(path: Path, most: int) -> dict[str, np.ndarray]:
    from initadvisor.frontends.checkpoint.safetensors_file import read

    try:
        held = read(path, [])
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as a .safetensors file: {error}") from error
    found = {}
    for name, tensor in held.items():
        if tensor.source is not None and tensor.shape:
            row = int(np.prod(tensor.shape[1:]))
            rows = min(most, tensor.shape[0])
            found[name] = _front(tensor, rows * row).reshape(rows, *tensor.shape[1:])
    return found


def _front(tensor: Any, count: int) -> np.ndarray:
    """The first elements of a tensor, floats widened, integers as they are."""
    raw = tensor.source.raw() if tensor.dtype.startswith(("int", "uint", "bool")) else None
    if raw is not None:
        return np.array(raw[:count])
    parts: list[np.ndarray] = []
    seen = 0
    for chunk in tensor.source.chunks(1 << 20):
        if seen >= count:
            break
        parts.append(np.array(chunk[: count - seen]))
        seen += len(parts[-1])
    return np.concatenate([*parts, np.zeros(0, "f4")])
