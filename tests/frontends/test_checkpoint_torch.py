"""`.pt` and kin: tensors only, nothing executed, training checkpoints unwrapped."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initadvisor.errors import FormatError, LimitError, LoadError, TargetCodeError, UnsafeError
from initadvisor.frontends.checkpoint import load
from initadvisor.frontends.checkpoint.pickle_scan import forbidden
from initadvisor.frontends.options import LoadOptions

torch = pytest.importorskip("torch", reason="needs the torch extra")


def saved(path: Path, held: Any, **options: Any) -> Path:
    torch.save(held, path, **options)
    return path


def elements(parameter: Any) -> np.ndarray:
    return np.concatenate([piece.copy() for piece in parameter.source.chunks(7)]).reshape(parameter.shape)


class Runs:
    """A pickle of this runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old pickle"])
def test_a_state_dict_is_read(zipped: bool, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3))
    state = model.state_dict()
    graph = load(saved(tmp_path / "model.pt", state, _use_new_zipfile_serialization=zipped))
    assert (graph.source, graph.edges, graph.coverage.capture) == ("checkpoint", False, "state dict")
    assert list(graph.parameters) == list(state)
    for name, tensor in state.items():
        assert np.array_equal(elements(graph.parameters[name]), tensor.double().numpy())
        assert graph.parameters[name].dtype == str(tensor.dtype).removeprefix("torch.")
    buffers = [name for name, parameter in graph.parameters.items() if parameter.buffer]
    assert buffers == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "bool"])
def test_every_type_is_read(dtype: str, tmp_path: Path) -> None:
    tensor = torch.randn(4, 6).to(getattr(torch, dtype))
    graph = load(saved(tmp_path / "model.pth", {"a": tensor, "t": tensor.t().clone().t()}))
    assert np.array_equal(elements(graph.parameters["a"]), tensor.double().numpy())
    assert np.array_equal(elements(graph.parameters["t"]), tensor.double().numpy())


def test_tied_tensors_are_one_parameter(tmp_path: Path) -> None:
    weight = torch.randn(4, 4)
    graph = load(saved(tmp_path / "m.pt", {"embed": weight, "head": weight, "copy": weight.clone(), "row": weight[:2]}))
    assert list(graph.parameters) == ["embed", "copy", "row"]
    assert graph.parameters["embed"].aliases == ("head",)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda s: {"model": s, "args": None},
        lambda s: {"model_state_dict": OrderedDict(s), "loss": torch.tensor(1.0).item()},
        lambda s: {"state_dict": {"model": s}},
    ],
)
def test_training_checkpoints_are_unwrapped(wrap: Any, tmp_path: Path) -> None:
    graph = load(saved(tmp_path / "m.ckpt", wrap({"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)})))
    assert list(graph.parameters) == ["fc.weight", "fc.bias"]


def test_entries_that_are_no_tensors_are_left_out_and_named(tmp_path: Path) -> None:
    graph = load(saved(tmp_path / "m.pt", {"a": torch.ones(2), "step": 3, "name": "x", "list": [torch.zeros(1), 4]}))
    assert list(graph.parameters) == ["a", "list.0"]
    assert [(event.kind, "3 entries" in event.message) for event in graph.events] == [("ignored entries", True)]


def test_a_bare_tensor_and_trainable_parameters(tmp_path: Path) -> None:
    assert list(load(saved(tmp_path / "t.pt", torch.ones(3))).parameters) == ["tensor"]
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    graph = load(saved(tmp_path / "p.pt", {"w": torch.nn.Parameter(torch.ones(2)), "f": frozen, "b": torch.ones(4)}))
    assert [parameter.trainable for parameter in graph.parameters.values()] == [True, False, None]


def test_sparse_and_meta_tensors_are_named_but_not_read(tmp_path: Path) -> None:
    held = {"s": torch.eye(3).to_sparse(), "m": torch.empty(2, 2, device="meta"), "w": torch.ones(2)}
    graph = load(saved(tmp_path / "m.pt", held))
    assert graph.parameters["s"].source is None
    assert graph.parameters["m"].source is None
    assert graph.parameters["w"].source is not None


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old pickle"])
@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"state_dict": {"w": torch.ones(2), "x": r}}])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(wrap: Any, zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = saved(tmp_path / "evil.pt", wrap(Runs(f"touch {mark}")), _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeError) as caught:
        load(path)
    assert not mark.exists()
    message = str(caught.value)
    assert str(path) in message
    assert "system" in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_whole_module_is_refused_and_read_only_on_request(tmp_path: Path) -> None:
    path = saved(tmp_path / "module.pt", torch.nn.Linear(3, 2))
    with pytest.raises(UnsafeError, match="Linear"):
        load(path)
    graph = load(path, LoadOptions(allow_pickle=True))
    assert list(graph.parameters) == ["weight", "bias"]


def test_an_allowed_pickle_that_fails_is_the_users_code(tmp_path: Path) -> None:
    class Broken:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    with pytest.raises(TargetCodeError, match="no number"):
        load(saved(tmp_path / "b.pt", Broken()), LoadOptions(allow_pickle=True))


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("archive/data.pkl", "archive/constants.pkl", "archive/code/__torch__.py"):
            archive.writestr(name, b"x")
    with pytest.raises(UnsafeError, match="TorchScript"):
        load(path)


def test_archives_that_unpack_to_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(100_000_000))
    with pytest.raises(LimitError, match="unpacks"):
        load(path)


def test_zip_archives_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FormatError, match=r"data\.pkl"):
        load(path)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.bin", "m.ckpt"])
@pytest.mark.parametrize("content", [b"", b"hello, a text file", b"\x80", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_damaged_files_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LoadError) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_random_bytes_after_a_valid_start_are_refused(tmp_path: Path) -> None:
    for seed, start in enumerate([b"\x80\x02", b"PK\x03\x04"] * 5):
        path = tmp_path / f"{seed}.pt"
        path.write_bytes(start + np.random.default_rng(seed).bytes(2000))
        with pytest.raises(LoadError):
            load(path)


def test_every_eighth_truncation_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"w": torch.randn(40)})
    whole = path.read_bytes()
    for length in range(0, len(whole), max(len(whole) // 8, 1)):
        path.write_bytes(whole[:length])
        with pytest.raises(LoadError):
            load(path)


def test_nesting_and_repetition_end(tmp_path: Path) -> None:
    deep: Any = {"w": torch.ones(1)}
    for _ in range(20):
        deep = {"x": deep}
    with pytest.raises(LimitError):
        load(saved(tmp_path / "deep.pt", deep))
    wide: Any = [torch.ones(1)]
    for _ in range(7):
        wide = [wide] * 10
    with pytest.raises(LimitError):
        load(saved(tmp_path / "wide.pt", wide))


def test_a_pickle_under_the_name_of_safetensors_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = saved(tmp_path / "model.pt", Runs(f"touch {mark}")).rename(tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="pickle"):
        load(path)
    assert not mark.exists()


def test_without_torch_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"w": torch.ones(2)})
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from initadvisor.errors import MissingExtraError\n"
        "from initadvisor.frontends.checkpoint import load\n"
        f"try: load({str(path)!r})\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "initadvisor[torch]" in done.stdout


def test_shards_of_pickles_are_joined(tmp_path: Path) -> None:
    saved(tmp_path / "pytorch_model-1.bin", {"a": torch.ones(2)})
    saved(tmp_path / "pytorch_model-2.bin", {"b": torch.zeros(3)})
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text('{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}')
    assert list(load(path).parameters) == ["a", "b"]


@pytest.mark.parametrize("kind", ["code, zip", "code, old pickle", "module", "truncated", "random", "cut pickle"])
def test_hostile_and_damaged_files_never_cost_the_import_of_torch(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "model.pt"
    if kind.startswith("code"):
        saved(path, {"w": torch.ones(2), "x": Runs(f"touch {mark}")}, _use_new_zipfile_serialization="zip" in kind)
    elif kind == "module":
        saved(path, torch.nn.Linear(3, 2))
    elif kind == "random":
        path.write_bytes(b"\x80\x02" + np.random.default_rng(0).bytes(5000))
    else:
        saved(path, {"w": torch.randn(2000)}, _use_new_zipfile_serialization=kind == "truncated")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if kind == "truncated" else whole[:12])
    code = (
        "import sys\n"
        "from initadvisor.errors import LoadError\n"
        "from initadvisor.frontends.checkpoint import load\n"
        f"try: load({str(path)!r})\n"
        "except LoadError as error: print(type(error).__name__, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    refused = "UnsafeError" if kind.startswith("code") or kind == "module" else "FormatError"
    assert done.stdout.split() == [refused, "False"]
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_the_scan_sees_globals_of_every_protocol(protocol: int) -> None:
    assert forbidden(pickle.dumps(Runs("true"), protocol)) in ("posix.system", "nt.system")
    assert forbidden(pickle.dumps({"a": [1, 2.5, OrderedDict(b="x")]}, protocol)) is None
    several = pickle.dumps(1, protocol) + pickle.dumps([Runs("true")], protocol)
    assert forbidden(several) in ("posix.system", "nt.system")
    assert forbidden(pickle.dumps(eval, protocol)) in ("builtins.eval", "__builtin__.eval")


def test_raw_tensors_behind_an_old_pickle_are_not_taken_for_names(tmp_path: Path) -> None:
    raw = torch.frombuffer(bytearray(b"cos\nsystem\n." * 4000), dtype=torch.uint8)
    path = saved(tmp_path / "m.pt", {"w": raw}, _use_new_zipfile_serialization=False)
    assert forbidden(path.read_bytes()) is None


def test_the_scan_lets_every_plain_state_dict_pass(tmp_path: Path) -> None:
    held = {
        "parameter": torch.nn.Parameter(torch.ones(2)), "half": torch.ones(2).half(),
        "sparse": torch.eye(2).to_sparse(),
        "shape": torch.ones(2).shape, "dtype": torch.float32, "device": torch.device("cpu"), "order": OrderedDict(a=1),
        "view": torch.ones(4).view(2, 2).t(), "conj": torch.ones(2, dtype=torch.complex64).conj(),
    }  # fmt: skip
    for zipped in (True, False):
        path = saved(tmp_path / "m.pt", held, _use_new_zipfile_serialization=zipped)
        data = path.read_bytes()
        if zipped:
            with zipfile.ZipFile(path) as archive:
                data = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
        assert forbidden(data) is None
