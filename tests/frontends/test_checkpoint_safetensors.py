"""`.safetensors`: read as the reference reader does, and every lie in the header refused."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initadvisor.errors import FormatError, LimitError, LoadError, NotFoundError, UnsafeError
from initadvisor.frontends.checkpoint import load
from initadvisor.frontends.options import LoadOptions

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: str, shape: list[Any], start: int, stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def elements(parameter: Any) -> np.ndarray:
    return np.concatenate([piece.copy() for piece in parameter.source.chunks(5)]).reshape(parameter.shape)


def test_tensors_of_every_numpy_type(tmp_path: Path) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data, expected = b"", {}
    for name, kind in TYPES.items():
        array = (np.random.default_rng(len(data)).normal(size=(3, 4)) * 9).astype(kind)
        header[f"layer.{name}"] = entry(name, [3, 4], len(data), len(data) + array.nbytes)
        expected[f"layer.{name}"] = array
        data += array.tobytes()
    graph = load(write(tmp_path / "model.safetensors", header, data))
    assert (graph.source, graph.edges, graph.coverage.capture) == ("checkpoint", False, "state dict")
    assert list(graph.parameters) == list(expected)
    for name, array in expected.items():
        parameter = graph.parameters[name]
        assert parameter.dtype == array.dtype.name
        assert parameter.shape == (3, 4)
        assert np.array_equal(elements(parameter), array)


def test_what_the_reference_writer_saves_is_read_back(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="needs the torch extra")
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    generator = torch.Generator().manual_seed(3)
    tensors = {
        "a.weight": torch.randn(5, 7, generator=generator),
        "a.half": torch.randn(9, generator=generator).half(),
        "a.brain": torch.randn(3, 3, generator=generator).bfloat16(),
        "a.eight": torch.randn(16, generator=generator).to(torch.float8_e4m3fn),
        "a.eight2": torch.randn(16, generator=generator).to(torch.float8_e5m2),
        "a.flag": torch.tensor([True, False]),
        "bn.running_mean": torch.zeros(4),
        "bn.num_batches_tracked": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    safetensors.save_file(tensors, tmp_path / "model.safetensors")
    graph = load(tmp_path / "model.safetensors")
    assert set(graph.parameters) == set(tensors)
    for name, tensor in tensors.items():
        parameter = graph.parameters[name]
        assert parameter.shape == tuple(tensor.shape)
        assert parameter.dtype == str(tensor.dtype).removeprefix("torch.")
        if parameter.size:
            assert np.array_equal(elements(parameter), tensor.double().numpy())
    assert [n for n, p in graph.parameters.items() if p.buffer] == ["bn.num_batches_tracked", "bn.running_mean"]


HOSTILE: dict[str, tuple[Any, bytes]] = {
    "no object": (b"[1, 2]" + b" " * 8, b""),
    "not json": (b"{" + b"a" * 20, b""),
    "not utf-8": (b'{"\xff\xfe": 1}    ', b""),
    "a name twice": (
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"1",
    ),
    "deep nesting": (b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b""),
    "deep objects": (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b""),
    "a huge number": (b'{"a":{"dtype":"U8","shape":[' + b"9" * 10_000 + b'],"data_offsets":[0,1]}}', b"1"),
    "an entry that is a list": ({"a": [1, 2]}, b""),
    "an unknown dtype": ({"a": entry("F31", [1], 0, 4)}, bytes(4)),
    "a dtype that is no text": ({"a": {"dtype": [1], "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)),
    "a negative size": ({"a": entry("F32", [-1, -1], 0, 4)}, bytes(4)),
    "a fractional size": ({"a": entry("F32", [1.0], 0, 4)}, bytes(4)),
    "a boolean size": ({"a": entry("F32", [True], 0, 4)}, bytes(4)),
    "a hundred axes": ({"a": entry("F32", [1] * 100, 0, 4)}, bytes(4)),
    "backward offsets": ({"a": entry("F32", [1], 4, 0)}, bytes(4)),
    "one offset": ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4)),
    "past the end": ({"a": entry("F32", [2], 0, 8)}, bytes(4)),
    "far past the end": ({"a": entry("F32", [2**60], 0, 2**62)}, bytes(4)),
    "more dims than bytes": ({"a": entry("F32", [10**6, 10**6], 0, 4)}, bytes(4)),
    "fewer dims than bytes": ({"a": entry("F32", [1], 0, 8)}, bytes(8)),
    "overlap": ({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, bytes(12)),
    "no tensors": ({"__metadata__": {}}, b""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    header, data = HOSTILE[case]
    path = write(tmp_path / "model.safetensors", header, data)
    with pytest.raises((FormatError, LimitError)) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"hello, this is a text file and no checkpoint", os.urandom(4096), struct.pack("<Q", 1 << 62) + b"{}"],
    ids=["empty", "one byte", "text", "random", "header beyond the file"],
)
def test_files_that_are_something_else_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(LoadError):
        load(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", {"a": entry("F32", [4], 0, 16)}, bytes(16))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(LoadError):
            load(path)


def test_a_header_over_the_limit_is_refused_without_being_parsed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as handle:
        handle.write(struct.pack("<Q", 1 << 30) + b"{")
        handle.truncate((1 << 30) + 8)
    with pytest.raises(LimitError, match="header"):
        load(path)


def test_holes_are_read_around_and_reported(tmp_path: Path) -> None:
    graph = load(write(tmp_path / "m.safetensors", {"a": entry("U8", [2], 3, 5)}, b"xxx\x01\x02yyy"))
    assert np.array_equal(elements(graph.parameters["a"]), [1, 2])
    assert [event.kind for event in graph.events] == ["unused bytes", "unused bytes"]


def test_missing_files_pipes_and_folders(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load(tmp_path / "none.safetensors")
    with pytest.raises(FormatError, match="regular"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(FormatError, match="regular"):
        load(tmp_path / "pipe.safetensors")
    path = write(tmp_path / "a.safetensors", {"a": entry("U8", [1], 0, 1)}, b"1")
    with pytest.raises(LimitError):
        load(path, LoadOptions(max_bytes=10))


def shard(folder: Path, name: str, tensor: str) -> None:
    write(folder / name, {tensor: entry("F32", [2], 0, 8)}, np.array([1, 2], np.float32).tobytes())


def index(folder: Path, table: Any) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 16}, "weight_map": table}))
    return path


def test_shards_are_joined(tmp_path: Path) -> None:
    shard(tmp_path, "model-1.safetensors", "a")
    shard(tmp_path, "model-2.safetensors", "b")
    graph = load(index(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"}))
    assert list(graph.parameters) == ["a", "b"]
    assert not graph.events


def test_shards_that_differ_from_their_index_are_reported(tmp_path: Path) -> None:
    shard(tmp_path, "model-1.safetensors", "a")
    graph = load(index(tmp_path, {"a": "model-1.safetensors", "gone": "model-1.safetensors"}))
    assert [event.kind for event in graph.events] == ["missing tensor"]
    with pytest.raises(NotFoundError, match="model-9"):
        load(index(tmp_path, {"a": "model-9.safetensors"}))


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\0b", "a\\b"])
def test_shards_outside_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeError):
        load(index(tmp_path, {"a": name}))


def test_a_linked_shard_is_followed_only_on_request(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shard(elsewhere, "blob", "a")
    (tmp_path / "model-1.safetensors").symlink_to(elsewhere / "blob")
    path = index(tmp_path, {"a": "model-1.safetensors"})
    with pytest.raises(UnsafeError, match="link"):
        load(path)
    assert list(load(path, LoadOptions(allow_external_symlinks=True)).parameters) == ["a"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "{", "[" * 100_000])
def test_an_index_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises((FormatError, LimitError)):
        load(path)


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", {"a": entry("F32", [2], 0, 8)}, bytes(8))
    code = (
        "import sys; from initadvisor.frontends.checkpoint import load; "
        f"load({str(path)!r}); assert not {{'torch', 'onnx'}} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_hostile_file_costs_little_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    body = b'{"a":[' + b"{}," * 5_000_000 + b"1]}"
    path.write_bytes(struct.pack("<Q", len(body)) + body)
    code = (
        "from initadvisor.errors import LoadError\n"
        "from initadvisor.frontends.checkpoint import load\n"
        f"try: load({str(path)!r})\n"
        "except LoadError: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=5)
    assert int(done.stdout) < 500_000
