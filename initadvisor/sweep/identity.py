"""What makes two jobs the same: the target, what its files hold, and everything that decides what is said of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from initadvisor.sweep.job import Job

HASHED_BYTES = 64 << 20
"""Up to this size a file is told by its content, which survives a new checkout; a larger one by size and time."""
_BESIDE = (".data", ".bin", ".weights", ".safetensors", "")
"""How files end that hold the weights of a model beside them."""
_LIBRARIES = {
    "torchvision": ("torch", "torchvision"),
    "timm": ("torch", "timm"),
    "hf": ("torch", "transformers"),
    "transformers": ("torch", "transformers"),
}
_MAX_SOURCES = 2000


def identity(job: Job) -> str:
    """A key that changes with the target's file or code, with the options, and with the version of initadvisor."""
    from initadvisor import __version__

    told = [__version__, job.kind, job.target, job.digest, dict(job.probe), job.explain, job.details]
    text = json.dumps([*told, list(_contents(job))], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _contents(job: Job) -> Iterator[list[str | int]]:
    path = Path(job.folder, job.target)
    if path.is_file():
        yield _content(path)
        yield from map(_state, _beside(path))
    elif ":" in job.target:
        prefix, _, name = job.target.partition(":")
        if prefix in _LIBRARIES:
            yield from (_release(library) for library in _LIBRARIES[prefix])
            config = Path(job.folder, name)
            config = config / "config.json" if config.is_dir() else config
            if config.is_file():
                yield _content(config)
        else:
            yield _release("torch")
            yield from map(_state, _sources(Path(job.folder), prefix))


def _content(path: Path) -> list[str | int]:
    try:
        if path.stat().st_size > HASHED_BYTES:
            return _state(path)
        with path.open("rb") as file:
            return [path.name, hashlib.file_digest(file, "sha256").hexdigest()]
    except OSError as error:
        return [path.name, str(error)]


def _state(path: Path) -> list[str | int]:
    try:
        found = path.stat()
    except OSError as error:
        return [path.name, str(error)]
    return [path.name, found.st_size, found.st_mtime_ns]


def _beside(path: Path) -> list[Path]:
    """Files that may hold the model's weights: external data of ONNX, shards of an index."""
    if path.suffix not in (".onnx", ".textproto", ".json"):
        return []
    return sorted(file for file in path.parent.iterdir() if _may_belong(file, path) and file.is_file())


def _may_belong(file: Path, model: Path) -> bool:
    """Whether a file carries the model's name, or has the suffix of weights and carries no other model's name."""
    if file.name.startswith(model.name):
        return file != model
    owner, onnx, _ = file.name.partition(".onnx")
    return file.suffix in _BESIDE and not (onnx and (model.parent / f"{owner}{onnx}").exists())


def _sources(folder: Path, module: str) -> list[Path]:
    """The code of a package or module in the working folder; what is installed is not looked through."""
    top = folder / module.partition(".")[0]
    if top.is_dir():
        return sorted(top.rglob("*.py"))[:_MAX_SOURCES]
    return [top.with_suffix(".py")] if top.with_suffix(".py").is_file() else []


def _release(library: str) -> list[str | int]:
    try:
        return [library, version(library)]
    except PackageNotFoundError:
        return [library, "absent"]
