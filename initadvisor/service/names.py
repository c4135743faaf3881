"""Names from strangers: of files, of models, of commits."""

from __future__ import annotations

import re
import unicodedata

from initadvisor.report.escape import visible
from initadvisor.service.problems import Problem

SUFFIXES = (".onnx", ".safetensors")
"""What holds data only. Formats that can carry code (.pt, .pt2, pickles) are not taken."""

LONGEST = 200
_KEPT = 100
_BYTES = 200
"""Of a name on disk, without its suffix: file systems take 255 in all."""
_ODD = re.compile(r"[^\w.+=-]+")


def file_name(given: str | None, head: bytes) -> str:
    """A name to store an upload under: one path component, plain characters, a suffix that says what it is.

    head: the first bytes of the file, which decide where no name was given. Raises Problem for other kinds of file.
    """
    if not given:
        return "model.safetensors" if head[8:9] == b"{" else "model.onnx"
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", visible(given)))[-1]
    stem, dot, suffix = last.rpartition(".")
    kind = f"{dot}{suffix.lower()}"
    if kind not in SUFFIXES:
        raise Problem(
            415,
            f"{given!r} is not a file of data only: give {' or '.join(SUFFIXES)}; what can carry code is not taken",
            kind="file-type",
        )
    plain = _ODD.sub("_", stem).strip("._-")[:_KEPT]
    plain = plain.encode()[:_BYTES].decode(errors="ignore").strip("._-")
    return f"{plain or 'model'}{kind}"


def label(given: str | None, what: str) -> str | None:
    """A name as it was given, without blanks around it; raises Problem for control characters and over-long ones."""
    text = (given or "").strip()
    if len(text) > LONGEST or visible(text) != text:
        raise Problem(422, f"{what} takes up to {LONGEST} printable characters", kind="name")
    return text or None
