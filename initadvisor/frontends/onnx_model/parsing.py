"""From wire bytes to protobuf messages, after a look at what parsing them would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model.wire import read_field

if TYPE_CHECKING:
    from onnx import ModelProto

_UNCOUNTED_BYTES = 2 << 20
"""A parsed message takes up to 200 bytes where its wire form takes 2: below this size that does no harm."""

_MESSAGES = 1_500_000
"""The most messages in one model; at 200 bytes each they take 300 MB."""


def parse(message: bytes) -> ModelProto:
    """The model; raises FormatError where the bytes do not follow the schema, LimitError for too many messages."""
    import onnx

    if len(message) > _UNCOUNTED_BYTES:
        _count(memoryview(message), onnx.ModelProto.DESCRIPTOR)
    try:
        return onnx.ModelProto.FromString(message)
    except Exception as error:  # google.protobuf.message.DecodeError, and what its C layer raises
        detail = str(error).split("\n")[0]
        raise FormatError(f"the message does not follow the schema ({detail})") from None


def _count(data: memoryview, descriptor: Any) -> None:
    children: dict[str, dict[int, Any]] = {}
    waiting: list[tuple[int, int, Any]] = [(0, len(data), descriptor)]
    left = _MESSAGES
    while waiting:
        at, end, kind = waiting.pop()
        if kind.full_name not in children:
            children[kind.full_name] = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
        inner = children[kind.full_name]
        while at < end:
            number, wire, body, at = read_field(data, at, end)
            if wire == 2 and number in inner:
                left -= 1
                if left < 0:
                    raise LimitError(f"the graph consists of more than {_MESSAGES:,} parts")
                if at > body:
                    waiting.append((body, at, inner[number]))
