"""From what was typed to targets: globs, lists in a file, patterns over the models of a library."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config

SUFFIXES = (".onnx", ".onnx.textproto", ".safetensors", ".pt", ".pth", ".pt2", ".bin", ".ckpt", ".index.json")
"""What a glob such as `models/*` takes of the files that it finds."""


def expanded(given: Iterable[str], config: Config) -> tuple[str, ...]:
    """The targets that were meant, in the order given; what a pattern or a list brings, it brings once.

    `*.onnx` (`**` goes into folders), `timm:resnet*`, `@models.txt` (one a line, # begins a comment, @- is stdin) and
    `hf:@names.txt`. A name of the configuration, or of a file, that looks like a pattern is taken as it is.
    Raises UsageError or NotFoundError for what matches nothing.
    """
    found: dict[str, None] = {}
    targets: list[str] = []
    for text in given:
        meant = list(_meant(text, config))
        targets += meant if meant == [text] else [target for target in dict.fromkeys(meant) if target not in found]
        found |= dict.fromkeys(meant)
    return tuple(targets)


def _meant(text: str, config: Config, listed: bool = False) -> Iterator[str]:
    if config.named(text) is not None or os.path.exists(text):
        yield text
        return
    prefix, colon, rest = text.partition(":")
    library = _is_library(prefix) if colon else False
    if text.startswith("@") or (library and rest.startswith("@")):
        if listed:
            raise UsageError(f"the list {text} is named in another list", hint="give both on the command line")
        yield from _from_list(rest if library else text, f"{prefix}:" if library else "", config)
    elif not glob.has_magic(text):
        yield text
    elif library:
        from initadvisor.frontends.zoo import matching

        yield from matching(prefix, rest)
    else:
        yield from _files(text)


def _is_library(prefix: str) -> bool:
    from initadvisor.frontends.zoo import LIBRARIES

    return prefix in LIBRARIES


def _from_list(name: str, prefix: str, config: Config) -> Iterator[str]:
    path = name[1:]
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the list of targets {path}: {reason}") from error
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    targets = [line for line in lines if line and not line.startswith("#")]
    if not targets:
        raise UsageError(f"the list of targets {path} is empty")
    for target in targets:
        known = _is_library(target.partition(":")[0])
        yield from _meant(target if known else f"{prefix}{target}", config, listed=True)


def _files(pattern: str) -> Iterator[str]:
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    models = [path for path in found if path.lower().endswith(SUFFIXES)]
    if not models:
        more = f"; none of the {len(found)} files is a model" if found else ""
        raise UsageError(
            f'there is no model file that matches "{pattern}"{more}',
            hint=f"models end in {SUFFIXES[0]}, {', '.join(SUFFIXES[2:])}",
        )
    yield from models
