"""Bad input at the door that people use: exit 2 and one clear line, in time, in memory, no trace left."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.running import environment

SECONDS = 5.0
MEGABYTES = 500

# The peak of this very process (ru_maxrss would carry over the peak of the process that started it), without the pages
# of mapped libraries: importing torch alone maps 240 MB of them.
MEASURED = """
import sys
from initadvisor.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        kilobytes = {line.split()[0]: int(line.split()[1]) for line in status if line.endswith("kB\\n")}
    print("peak", kilobytes["VmHWM:"] - kilobytes["RssFile:"], file=sys.stderr)
"""


def _model(*initializers: TensorProto, nodes: list[onnx.NodeProto] | None = None) -> bytes:
    matmul = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes or matmul, "g", [x], [y], list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def _weight() -> TensorProto:
    drawn = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    return numpy_helper.from_array(drawn, "w")


def _declared(dims: list[int]) -> TensorProto:
    return TensorProto(name="w", dims=dims, data_type=TensorProto.FLOAT, raw_data=b"\0" * 64)


def _external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", dims=[64, 64], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def _file(content: bytes, name: str = "model.onnx") -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return name

    return make


def _escape(link: Callable[[Path, Path], None] | None, location: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        secret = folder.parent / "secret.bin"
        secret.write_bytes(b"\1" * 16384)
        if link:
            link(secret, folder / location)
        absolute = location.format(secret=secret)
        (folder / "model.onnx").write_bytes(_model(_external(absolute)))
        return "model.onnx"

    return make


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def _module(source: str, name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / "mine.py").write_text(source)
        return name

    return make


def _nested(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        attribute = b"\x32" + _length(body) + body
        node = b"\x2a" + _length(attribute) + attribute
        body = b"\x0a" + _length(node) + node
    return b"\x08\x08" + b"\x3a" + _length(body) + body


def _length(body: bytes) -> bytes:
    n, out = len(body), b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


CYCLE = [
    helper.make_node("Add", ["x", "b"], ["a"]),
    helper.make_node("Relu", ["a"], ["b"]),
    helper.make_node("MatMul", ["b", "w"], ["y"]),
]

BAD: dict[str, Callable[[Path], str]] = {
    "truncated": _file(_model(_weight())[:5000]),
    "random bytes": _file(np.random.default_rng(1).bytes(10_000)),
    "empty": _file(b""),
    "text": _file(b"# a readme, not a model\n"),
    "external data missing": _file(_model(_external("gone.bin"))),
    "external data above": _escape(None, "../secret.bin"),
    "external data absolute": _escape(None, "{secret}"),
    "external data by symbolic link": _escape(lambda secret, link: link.symlink_to(secret), "w.bin"),
    "external data by hard link": _escape(lambda secret, link: link.hardlink_to(secret), "w.bin"),
    "dims beyond the file": _file(_model(_declared([1 << 20, 1 << 20]))),
    "negative dims": _file(_model(_declared([-4, 4]))),
    "cycle": _file(_model(_weight(), nodes=CYCLE)),
    "duplicate names": _file(_model(_weight(), _weight())),
    "deep nesting": _file(_nested(10_000)),
    "pickle that runs code": _file(pickle.dumps({"w": _Bomb()}), "model.pt"),
    "unknown module": lambda folder: "no_such_package.models:build",
    "unknown factory": _module("def build():\n    return None\n", "mine:bild"),
    "factory that raises": _module("def build():\n    raise RuntimeError('no data set here')\n", "mine:build"),
    "factory that returns no model": _module("def build():\n    return 3\n", "mine:build"),
    "safetensors with a huge header": _file((1 << 62).to_bytes(8, "little") + b"{}", "model.safetensors"),
    "no such file": lambda folder: "model.onnx",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    target = BAD[kind](folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-B", "-c", MEASURED, "check", target],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    seconds = time.monotonic() - started
    *lines, peak = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert target.split(":")[0].split(".")[0] in lines[0], "the line says which target"
    assert int(peak.split()[1]) < MEGABYTES * 1024
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before, "nothing executed, nothing written"
    # Importing torch alone takes seconds on a cold disk, so the limit holds for what needs no torch.
    if not target.endswith(".pt") and ":" not in target:
        assert seconds < SECONDS
