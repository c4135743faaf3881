"""Files that are broken or made to do harm: each is answered by one clear error, quickly and in little memory."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import TensorProto, helper, numpy_helper

from initadvisor.errors import FormatError, LimitError, LoadError, NotFoundError, UnsafeError
from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.options import LoadOptions
from initadvisor.ops import ONNX

N = helper.make_node


def _weight(name: str = "w", shape: tuple[int, ...] = (4, 4)) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _tensor(**fields: object) -> onnx.TensorProto:
    """A TensorProto named w with exactly these fields."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4])
    for name, value in fields.items():
        tensor.ClearField(name)
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return tensor


def _with(models: Models, *tensors: onnx.TensorProto) -> Path:
    model = models.proto([N("MatMul", ["x", "w"], ["y"])])
    model.graph.initializer.extend(tensors)
    return models.save(model)


def _external(models: Models, **entries: str) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return _with(models, tensor)


def _good(models: Models) -> bytes:
    return models.proto([N("MatMul", ["x", "w"], ["y"])], {"w": _weight(shape=(4, 400))}).SerializeToString()


def truncated(models: Models) -> Path:
    return models.save(_good(models)[:-700])


def random_bytes(models: Models) -> Path:
    return models.save(random.Random(3).randbytes(100_000))


def empty(models: Models) -> Path:
    return models.save(b"")


def text_file(models: Models) -> Path:
    return models.save(b"these are the weights that I promised you\n" * 40)


def json_file(models: Models) -> Path:
    return models.save(b'{"irVersion": "10", "graph": {"node": []}}')


def lfs_pointer(models: Models) -> Path:
    return models.save(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


def zip_file(models: Models) -> Path:
    return models.save(b"PK\x03\x04" + bytes(100))


def other_message(models: Models) -> Path:
    return models.save(numpy_helper.from_array(_weight(), "w").SerializeToString())


def never_ending_number(models: Models) -> Path:
    return models.save(b"\x08" + b"\xff" * 4000)


def directory(models: Models) -> Path:
    (models.folder / "model.onnx").mkdir()
    return models.folder / "model.onnx"


def named_pipe(models: Models) -> Path:
    os.mkfifo(models.folder / "model.onnx")
    return models.folder / "model.onnx"


def device(models: Models) -> Path:
    return Path("/dev/zero")


def absent(models: Models) -> Path:
    return models.folder / "nothing.onnx"


def name_with_null(models: Models) -> Path:
    return models.folder / "a\0b.onnx"


def external_missing(models: Models) -> Path:
    return _external(models, location="gone.bin")


def external_parent(models: Models) -> Path:
    (models.folder.parent / "secret.bin").write_bytes(bytes(64))
    return _external(models, location="../secret.bin")


def external_parent_inside(models: Models) -> Path:
    (models.folder / "sub").mkdir()
    (models.folder / "w.bin").write_bytes(bytes(64))
    return _external(models, location="sub/../w.bin")


def external_parent_windows(models: Models) -> Path:
    return _external(models, location="..\\secret.bin")


def external_absolute(models: Models) -> Path:
    return _external(models, location="/etc/passwd")


def external_drive(models: Models) -> Path:
    return _external(models, location="C:\\Windows\\win.ini")


def external_symlink(models: Models) -> Path:
    (models.folder / "w.bin").symlink_to("/etc/passwd")
    return _external(models, location="w.bin")


def external_symlinked_folder(models: Models) -> Path:
    (models.folder / "etc").symlink_to("/etc")
    return _external(models, location="etc/passwd")


def external_hard_link(models: Models) -> Path:
    (models.folder / "original").write_bytes(bytes(64))
    os.link(models.folder / "original", models.folder / "w.bin")
    return _external(models, location="w.bin")


def external_pipe(models: Models) -> Path:
    os.mkfifo(models.folder / "w.bin")
    return _external(models, location="w.bin")


def external_directory(models: Models) -> Path:
    (models.folder / "w.bin").mkdir()
    return _external(models, location="w.bin")


def external_itself(models: Models) -> Path:
    return _external(models, location=".")


def external_without_location(models: Models) -> Path:
    return _external(models, offset="0")


def external_offset_past_end(models: Models) -> Path:
    (models.folder / "w.bin").write_bytes(bytes(64))
    return _external(models, location="w.bin", offset="4096", length="64")


def external_offset_negative(models: Models) -> Path:
    (models.folder / "w.bin").write_bytes(bytes(64))
    return _external(models, location="w.bin", offset="-64")


def external_length_short(models: Models) -> Path:
    (models.folder / "w.bin").write_bytes(bytes(64))
    return _external(models, location="w.bin", length="8")


def external_file_short(models: Models) -> Path:
    (models.folder / "w.bin").write_bytes(bytes(60))
    return _external(models, location="w.bin")


def dims_beyond_file(models: Models) -> Path:
    return _with(models, _tensor(dims=[1 << 40, 1 << 40], raw_data=bytes(64)))


def dims_without_data(models: Models) -> Path:
    return _with(models, _tensor(dims=[100_000, 100_000]))


def dims_overflow(models: Models) -> Path:
    return _with(models, _tensor(dims=[1 << 62] * 40, raw_data=bytes(64)))


def too_many_dims(models: Models) -> Path:
    return _with(models, _tensor(dims=[1] * 5000, raw_data=bytes(4)))


def negative_dims(models: Models) -> Path:
    return _with(models, _tensor(dims=[-1, -16], raw_data=bytes(64)))


def unknown_type(models: Models) -> Path:
    return _with(models, _tensor(data_type=99, raw_data=bytes(64)))


def two_places(models: Models) -> Path:
    return _with(models, _tensor(raw_data=bytes(64), float_data=[0.0] * 16))


def two_large_places(models: Models) -> Path:
    return _with(models, _tensor(dims=[1000], raw_data=bytes(4000), float_data=[0.0] * 1000))


def wrong_field(models: Models) -> Path:
    return _with(models, _tensor(int64_data=[1] * 16))


def wrong_large_field(models: Models) -> Path:
    return _with(models, _tensor(dims=[1000], double_data=[1.0] * 1000))


def segmented(models: Models) -> Path:
    tensor = _tensor(raw_data=bytes(64))
    tensor.segment.begin = 0
    return _with(models, tensor)


def unnamed_initializer(models: Models) -> Path:
    return _with(models, _tensor(raw_data=bytes(64)), _tensor(name="", raw_data=bytes(64)))


def duplicate_initializers(models: Models) -> Path:
    return _with(models, _tensor(raw_data=bytes(64)), _tensor(raw_data=bytes(64)))


def sparse_bomb(models: Models) -> Path:
    model = models.proto([N("MatMul", ["x", "w"], ["y"])])
    sparse = model.graph.sparse_initializer.add(dims=[1 << 18, 1 << 18])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64)))
    return models.save(model)


def sparse_index_outside(models: Models) -> Path:
    model = models.proto([N("MatMul", ["x", "w"], ["y"])])
    sparse = model.graph.sparse_initializer.add(dims=[4, 4])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([16])))
    return models.save(model)


def negative_constant_of_shape(models: Models) -> Path:
    return models.save(models.proto([N("ConstantOfShape", ["s"], ["y"])], {"s": np.array([-2, 3])}))


def cycle(models: Models) -> Path:
    return models.save(models.proto([N("Add", ["x", "b"], ["a"]), N("Relu", ["a"], ["b"]), N("Relu", ["b"], ["y"])]))


def self_cycle(models: Models) -> Path:
    return models.save(models.proto([N("Add", ["x", "y"], ["y"])]))


def undefined_input(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["ghost"], ["y"])]))


def undefined_output(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["z"])]))


def duplicate_outputs(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["y"]), N("Tanh", ["x"], ["y"])]))


def overwritten_initializer(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["w"]), N("MatMul", ["x", "w"], ["y"])], {"w": _weight()}))


def overwritten_input(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["x"]), N("Relu", ["x"], ["y"])]))


def duplicate_inputs(models: Models) -> Path:
    model = models.proto([N("Relu", ["x"], ["y"])])
    model.graph.input.append(model.graph.input[0])
    return models.save(model)


def no_graph(models: Models) -> Path:
    return models.save(onnx.ModelProto(ir_version=10, producer_name="nobody").SerializeToString())


def future_operators(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["y"])], opset=999))


def two_operator_sets(models: Models) -> Path:
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("", 17)]
    return models.save(models.proto([N("Relu", ["x"], ["y"])], opset_imports=opsets))


def not_utf8(models: Models) -> Path:
    return models.save(models.proto([N("Relu", ["x"], ["y"])]).SerializeToString().replace(b"Relu", b"\xff\xfeux"))


def name_not_utf8(models: Models) -> Path:
    good = models.proto([N("Relu", ["x"], ["name"]), N("Relu", ["name"], ["y"])]).SerializeToString()
    return models.save(good.replace(b"name", b"\xff\xfe\xfd\xfc"))


def _nested(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph ..., written as bytes since protobuf refuses to build it."""
    inner = b""
    for _ in range(depth):
        attribute = b"\x0a\x01b" + _field(6, inner) + b"\xa0\x01\x05"
        inner = _field(1, _field(4, b"If") + _field(5, attribute))
    return b"\x08\x0a" + _field(7, inner)


def _field(number: int, body: bytes) -> bytes:
    out, size = bytearray([number << 3 | 2]), len(body)
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes([size]) + body


def deep_nesting(models: Models) -> Path:
    return models.save(_nested(10_000))


def nesting_at_the_parsers_limit(models: Models) -> Path:
    return models.save(_nested(34))


def _functions(models: Models, bodies: dict[str, list[str]]) -> Path:
    """A model that calls f0; `bodies` says which functions each calls, one after the other."""
    made = []
    for name, callees in bodies.items():
        steps = ["x", *(f"t{i}" for i in range(len(callees) - 1)), "y"]
        calls = [N(c, [steps[i]], [steps[i + 1]], domain="f" * (c != "Relu")) for i, c in enumerate(callees)]
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
        made.append(helper.make_function("f", name, ["x"], ["y"], calls, opsets))
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    return models.save(models.proto([N("f0", ["x"], ["y"], domain="f")], opset_imports=opsets, functions=made))


def function_bomb(models: Models) -> Path:
    return _functions(models, {f"f{i}": [f"f{i + 1}"] * 2 for i in range(25)} | {"f25": ["Relu"]})


def recursive_function(models: Models) -> Path:
    return _functions(models, {"f0": ["Relu", "f0"]})


def mutually_recursive_functions(models: Models) -> Path:
    return _functions(models, {"f0": ["f1"], "f1": ["f2"], "f2": ["f0"]})


def function_chain(models: Models) -> Path:
    return _functions(models, {f"f{i}": [f"f{i + 1}"] for i in range(5000)} | {"f5000": ["Relu"]})


def function_defined_twice(models: Models) -> Path:
    path = _functions(models, {"f0": ["Relu"]})
    model = onnx.load(path)
    model.functions.append(model.functions[0])
    return models.save(model)


def a_node_of_attributes(models: Models) -> Path:
    """Two bytes each in the file, two hundred in memory."""
    return models.save(b"\x08\x0a" + _field(7, _field(1, b"\x2a\x00" * 900_000)))


def empty_nodes(models: Models) -> Path:
    return models.save(b"\x08\x0a" + _field(7, b"\x0a\x00" * 900_000))


def empty_messages_inside_nodes(models: Models) -> Path:
    return models.save(b"\x08\x0a" + _field(7, _field(1, b"\x2a\x00" * 500) * 4_000))


def endless_small_fields(models: Models) -> Path:
    return models.save(b"\x08\x0a" + b"\x10\x00" * 3_000_000)


def endless_name(models: Models) -> Path:
    return models.save(models.proto([N("R" * 10_000_000, ["x"], ["y"])]))


def body_missing(models: Models) -> Path:
    return models.save(models.proto([N("Loop", ["", "", "x"], ["y"])]))


HOSTILE: dict[Callable[[Models], Path], tuple[type[LoadError], str]] = {
    truncated: (FormatError, "past the end"),
    random_bytes: (FormatError, "cannot be read as an ONNX model"),
    empty: (FormatError, "empty"),
    text_file: (FormatError, "looks like text"),
    json_file: (FormatError, "looks like text"),
    lfs_pointer: (FormatError, "git lfs pull"),
    zip_file: (FormatError, "ZIP"),
    other_message: (FormatError, "cannot be read as an ONNX model"),
    never_ending_number: (FormatError, "never ends"),
    directory: (FormatError, "directory"),
    named_pipe: (UnsafeError, "pipe"),
    device: (UnsafeError, "device"),
    absent: (NotFoundError, "no file"),
    name_with_null: (LoadError, "null"),
    external_missing: (NotFoundError, "gone.bin"),
    external_parent: (UnsafeError, "leaves the model's folder"),
    external_parent_inside: (UnsafeError, "leaves the model's folder"),
    external_parent_windows: (UnsafeError, "leaves the model's folder"),
    external_absolute: (UnsafeError, "absolute"),
    external_drive: (UnsafeError, "absolute"),
    external_symlink: (UnsafeError, "symbolic link"),
    external_symlinked_folder: (UnsafeError, "symbolic link"),
    external_hard_link: (UnsafeError, "hard link"),
    external_pipe: (UnsafeError, "pipe"),
    external_directory: (FormatError, "directory"),
    external_itself: (FormatError, "not a file"),
    external_without_location: (FormatError, "no usable file"),
    external_offset_past_end: (LimitError, "4,096"),
    external_offset_negative: (FormatError, "offset"),
    external_length_short: (FormatError, "declares 8"),
    external_file_short: (LimitError, "which has 60"),
    dims_beyond_file: (LimitError, "holds 64"),
    dims_without_data: (LimitError, "holds 0"),
    dims_overflow: (LimitError, "holds 64"),
    too_many_dims: (LimitError, "5000 dimensions"),
    negative_dims: (FormatError, "negative"),
    unknown_type: (FormatError, "type 99"),
    two_places: (FormatError, "more than once"),
    two_large_places: (FormatError, "twice"),
    wrong_field: (FormatError, "int64_data"),
    wrong_large_field: (FormatError, "double_data"),
    segmented: (FormatError, "segments"),
    unnamed_initializer: (FormatError, "without a name"),
    duplicate_initializers: (FormatError, "two initializers"),
    sparse_bomb: (LimitError, "places"),
    sparse_index_outside: (FormatError, "indices"),
    negative_constant_of_shape: (FormatError, "negative"),
    cycle: (FormatError, "cycle"),
    self_cycle: (FormatError, "cycle"),
    undefined_input: (FormatError, "'ghost'"),
    undefined_output: (FormatError, "'y'"),
    duplicate_outputs: (FormatError, "both make 'y'"),
    overwritten_initializer: (FormatError, "'w'"),
    overwritten_input: (FormatError, "'x'"),
    duplicate_inputs: (FormatError, "same name"),
    no_graph: (FormatError, "no graph"),
    future_operators: (FormatError, "999"),
    two_operator_sets: (FormatError, "two versions"),
    not_utf8: (FormatError, "UTF-8"),
    name_not_utf8: (FormatError, "UTF-8"),
    deep_nesting: (FormatError, "deep"),
    nesting_at_the_parsers_limit: (FormatError, "cannot be read"),
    function_bomb: (LimitError, "33,554,432 nodes"),
    recursive_function: (FormatError, "calls itself"),
    mutually_recursive_functions: (FormatError, "calls itself"),
    function_chain: (LimitError, "deep"),
    function_defined_twice: (FormatError, "twice"),
    a_node_of_attributes: (LimitError, "900,000 attributes"),
    empty_nodes: (LimitError, "900,000 nodes"),
    empty_messages_inside_nodes: (LimitError, "parts"),
    endless_small_fields: (LimitError, "fields"),
    endless_name: (LimitError, "10,000,000 characters"),
    body_missing: (FormatError, "missing"),
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_file_is_one_clear_error(make: Callable[[Models], Path], models: Models) -> None:
    kind, words = HOSTILE[make]
    path = make(models)
    started = time.monotonic()
    with pytest.raises(LoadError) as caught:
        load(path)
    assert time.monotonic() - started < 5
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_all_hostile_files_in_one_small_process(tmp_path: Path) -> None:
    """Under 500 MB at the peak, imports included: nothing is allocated because a file asks for it."""
    paths = []
    for number, make in enumerate(HOSTILE):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths.append(str(make(Models(folder))))
    script = (
        "import re, sys\n"
        "from initadvisor.errors import LoadError\n"
        "from initadvisor.frontends.onnx_model import load\n"
        "for path in sys.argv[1:]:\n"
        "    try: load(path.replace('%00', chr(0)))\n"
        "    except LoadError: continue\n"
        "    raise SystemExit(path)\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)\n"
    )
    command = [sys.executable, "-c", script, *(path.replace("\0", "%00") for path in paths)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 500


@pytest.mark.parametrize(
    "make", [make for make in HOSTILE if "external" in make.__name__], ids=lambda make: make.__name__
)
def test_external_data_is_as_safe_without_directory_handles(
    make: Callable[[Models], Path], models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every system can open a file relative to an open folder."""
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(LoadError) as caught:
        load(make(models))
    assert type(caught.value) is HOSTILE[make][0]


def test_links_are_followed_where_the_caller_allows_it(models: Models) -> None:
    """A download cache keeps files once and links to them."""
    store = models.folder / "blobs"
    store.mkdir()
    values = np.arange(16, dtype=np.float32)
    (store / "data").write_bytes(values.tobytes())
    (models.folder / "w.bin").symlink_to(store / "data")
    path = _external(models, location="w.bin")
    graph = load(path, LoadOptions(allow_external_symlinks=True))
    source = graph.parameters["w"].source
    assert source is not None
    np.testing.assert_array_equal(np.concatenate(list(source.chunks(5))), values)


def test_a_model_behind_a_link_is_read(models: Models) -> None:
    path = models.save(_good(models))
    link = models.folder / "linked.onnx"
    link.symlink_to(path)
    assert list(load(link).parameters) == ["w"]


def test_nothing_is_written_beside_the_model(models: Models) -> None:
    path = models.save(_good(models))
    before = {p: p.stat().st_mtime_ns for p in models.folder.iterdir()}
    load(path)
    assert {p: p.stat().st_mtime_ns for p in models.folder.iterdir()} == before


def test_files_above_the_limit_are_refused(models: Models) -> None:
    path = models.save(_good(models))
    with pytest.raises(LimitError, match="more than the limit"):
        load(path, LoadOptions(max_bytes=100))


def test_more_nodes_than_allowed_are_refused(models: Models) -> None:
    nodes = [N("Relu", ["x" if i == 0 else f"t{i}"], [f"t{i + 1}"]) for i in range(30)]
    path = models.save(models.proto(nodes, outputs=["t30"]))
    with pytest.raises(LimitError, match="more than 20 nodes"):
        load(path, LoadOptions(max_nodes=20))
    assert len(load(path).nodes) == 30


def test_large_lazy_tensors_cost_nothing(models: Models) -> None:
    """64 GB of ConstantOfShape are one number."""
    graph = models.load(
        [N("ConstantOfShape", ["s"], ["w"]), N("MatMul", ["x", "w"], ["y"])], {"s": np.array([1 << 17, 1 << 17])}
    )
    assert graph.parameters["w"].shape == (1 << 17, 1 << 17)


def test_long_chain_is_read_in_linear_time(models: Models) -> None:
    def seconds(count: int) -> float:
        nodes = [N("Relu", ["x" if i == 0 else f"t{i}"], [f"t{i + 1}"]) for i in range(count)]
        path = models.save(models.proto(nodes, outputs=[f"t{count}"]))
        started = time.process_time()
        assert len(load(path).nodes) == count
        return time.process_time() - started

    seconds(100)
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.02)  # quadratic would be 100


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_never_crash(models: Models, seed: int) -> None:
    """Whatever a flipped byte does, the answer is a graph or a LoadError."""
    good = models.proto(
        [
            N("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            N("Reshape", ["c", "s"], ["r"]),
            N("Gemm", ["r", "v", "b"], ["y"]),
        ],
        {
            "w": _weight(shape=(4, 3, 3, 3)),
            "s": np.array([0, -1]),
            "v": _weight(shape=(64, 5)),
            "b": np.zeros(5, np.float32),
        },
        inputs={"x": (1, 3, 4, 4)},
    ).SerializeToString()
    draw = random.Random(seed)
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        with contextlib.suppress(LoadError):
            load(models.save(bytes(damaged)))


ODD_VALUES = [
    "text",
    1.5,
    -7,
    [1],
    [0.5, 2.5],
    [1 << 62] * 3,
    ["a", "b"],
    numpy_helper.from_array(np.zeros((2, 2))),
]


@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_attributes_of_the_wrong_kind_never_crash(models: Models, domain: str) -> None:
    """Every operator in the table with each of its attributes set to something odd: a graph or a LoadError."""
    draw = random.Random(0)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    weights = {"w": _weight(), "v": np.array([1, 0, -1]), "s": np.array(0.5, np.float32), "q": np.ones((4, 4), np.int8)}
    spellings = [s for s in ONNX if ("::" in s) == bool(domain) and (not domain or s.startswith(f"{domain}::"))]
    for spelling in spellings:
        op = spelling.removeprefix(f"{domain}::")
        schema = onnx.defs.get_schema(op) if not domain and onnx.defs.has(op) else None
        known = list(schema.attributes) if schema is not None else []
        names = {*known, *ONNX[spelling].onnx[spelling], "axis", "block_size", "K", "alpha"}
        for _ in range(6):
            attrs = {name: draw.choice(ODD_VALUES) for name in names if draw.random() < 0.6}
            inputs = [draw.choice(["x", "w", "v", "s", "q", "q", ""]) for _ in range(draw.randint(0, 6))]
            node = N(op, inputs, ["y", "z"][: draw.randint(1, 2)], domain=domain, **attrs)
            path = models.save(models.proto([node], weights, opset_imports=opsets))
            with contextlib.suppress(LoadError):
                load(path)
