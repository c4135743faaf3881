"""What server and nursery tell each other: one JSON object a line, over a pair of pipes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as a worker gets it.

    key: the check and its attempt. folder: the private folder of this attempt. inside: the folder to stand in, which
    holds the upload. target: the name of the file in there, or a registered reference. label: what the report calls it.
    options: select, ignore, extend_select, preview, input_shapes. memory, cpu, wall, written: as in `Limits`.
    trusted: the target is the operator's own choice, which may need any file of theirs.
    """

    key: str
    folder: str
    inside: str
    target: str
    label: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    memory: int
    cpu: int
    wall: float
    written: int
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A worker's end. status: as `os.waitpid` gives it. why: "timeout" or "cancelled" where it was made to end."""

    key: str
    status: int
    why: str | None = None
    cpu: float = 0.0
    peak_kib: int = 0


def line(kind: str, body: Any = None) -> bytes:
    """One message."""
    value = asdict(body) if isinstance(body, Job | Ended) else body
    return json.dumps({kind: value}, separators=(",", ":")).encode() + b"\n"


def parsed(raw: bytes) -> tuple[str, Any]:
    """The kind and the body of a message."""
    message: dict[str, Any] = json.loads(raw)
    ((kind, body),) = message.items()
    if kind == "start":
        return kind, Job(**body)
    return kind, Ended(**body) if kind == "ended" else body


def names(value: Any) -> Sequence[str]:
    """A list of names, whatever was stored."""
    return tuple(str(each) for each in value or ())
