"""A plan on an ONNX file: the new file holds the draws and nothing else differs; the old one is not touched."""

from __future__ import annotations

import logging
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from initadvisor import frontends
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.apply import onnx_file
from initadvisor.apply.onnx_tensors import encode
from initadvisor.errors import UsageError
from initadvisor.graph import Graph
from initadvisor.initializers import Key
from initadvisor.plan import Plan, advise, overrides

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


class Words(nn.Module):
    """An embedding, an LSTM whose gates ONNX stores in another order, two layers with equal biases, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 24)
        self.cell = nn.LSTM(24, 16, batch_first=True)
        self.middle = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.head = nn.Linear(16, 50)
        for layer in (self.middle[0], self.middle[2], self.head):
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.cell(self.table(x))[0]))


@pytest.fixture(scope="module", params=["torchscript", "dynamo"])
def exported(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "words.onnx"
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 7, dtype=torch.long),)
        torch.onnx.export(Words().eval(), example, path, dynamo=request.param == "dynamo", verbose=False)
    logging.disable(logging.NOTSET)
    return path


def read(path: Path) -> Graph:
    return describe(frontends.load(path))


def plan_of(graph: Graph, **options: object) -> Plan:
    return advise(graph, tensor_facts(graph), **options)


def values(graph: Graph, name: str) -> np.ndarray:
    parameter = graph.parameters[name]
    return np.concatenate([c.copy() for c in parameter.source.chunks(1 << 20)]).reshape(parameter.shape)


def as_external(path: Path, folder: Path) -> Path:
    """The model with all tensors, small ones too, in one file beside it."""
    model = onnx.load(path)
    out = folder / "model.onnx"
    onnx.save(model, out, save_as_external_data=True, size_threshold=0, location="weights.bin")
    return out


def digests(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


def check_draws(graph: Graph, plan: Plan) -> None:
    for step in plan.draws:
        expected = step.spec.draw(step.shape, Key(plan.seed, step.parameter), step.layout)
        assert (values(graph, step.parameter) == expected).all(), step.parameter


@pytest.mark.parametrize("external", [False, True])
def test_the_new_file_holds_the_draws_and_the_old_one_is_untouched(exported, tmp_path, external):
    source = as_external(exported, tmp_path) if external else exported
    before = digests(source.parent)
    graph = read(source)
    plan = plan_of(graph, policy=overrides({"middle.0.bias": {"method": "normal", "std": 0.5}}))
    out = tmp_path / "out"
    out.mkdir()
    written = onnx_file.apply(source, out / "fixed.onnx", graph, plan)
    assert set(written.drawn) == {step.parameter for step in plan.draws}
    assert digests(source.parent) == before
    assert bool(written.data) == (external or any(name.endswith(".data") for name in before))
    onnx.checker.check_model(str(out / "fixed.onnx"))
    check_draws(read(out / "fixed.onnx"), plan)


def test_writing_twice_gives_the_same_bytes(exported, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        graph = read(exported)
        onnx_file.apply(exported, tmp_path / name / "fixed.onnx", graph, plan_of(graph))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_what_is_kept_keeps_its_bits(exported, tmp_path):
    graph = read(exported)
    plan = plan_of(graph).only(lambda step: step.parameter == "table.weight")
    onnx_file.apply(exported, tmp_path / "fixed.onnx", graph, plan)
    new, old = read(tmp_path / "fixed.onnx"), read(exported)
    for name in old.parameters:
        assert (values(new, name) == values(old, name)).all() == (name != "table.weight")


def test_the_gates_of_an_lstm_go_where_the_file_keeps_them(exported, tmp_path):
    """Run by onnxruntime, the fixed file computes what the torch module with the same plan computes."""
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = read(exported)
    plan = plan_of(graph)
    onnx_file.apply(exported, tmp_path / "fixed.onnx", graph, plan)
    module = Words().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            name = {"cell.weight_ih_l0": name}.get(name, name)
            found = values(read(tmp_path / "fixed.onnx"), name)
            parameter.copy_(torch.from_numpy(found.T.copy() if found.shape != parameter.shape else found))
            if name.startswith(("middle", "head")) and parameter.ndim == 2:
                layout = plan.step(name).layout
                parameter.copy_(torch.from_numpy(found.T.copy() if layout.out_axes == (1,) else found))
    x = torch.randint(0, 50, (2, 7), generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(tmp_path / "fixed.onnx")
    ours = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert np.allclose(ours, module(x).detach().numpy(), atol=1e-5)


def one_layer(dtype: int, name: str = "w") -> onnx.ModelProto:
    raw = np.zeros(6 * 4, {1: np.float32, 10: np.float16, 11: np.float64, 16: np.uint16}[dtype]).tobytes()
    weight = helper.make_tensor(name, dtype, (6, 4), raw, raw=True)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", name], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", dtype, (2, 6))],
        [helper.make_tensor_value_info("y", dtype, (2, 4))],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16])
@pytest.mark.parametrize("typed", [False, True])
def test_types_are_kept_and_rounded_once(dtype, typed, tmp_path):
    model = one_layer(dtype)
    if typed and dtype == TensorProto.FLOAT:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.float_data.extend([0.0] * 24)
    source = tmp_path / "one.onnx"
    onnx.save(model, source)
    graph = read(source)
    plan = plan_of(graph, policy=overrides({"*": {"method": "normal", "std": 1.0}}))
    onnx_file.apply(source, tmp_path / "fixed.onnx", graph, plan)
    tensor = onnx.load(tmp_path / "fixed.onnx").graph.initializer[0]
    assert tensor.data_type == dtype
    step = plan.steps[0]
    wide = np.float64 if dtype == TensorProto.DOUBLE else np.float32
    expected = torch.from_numpy(step.spec.draw(step.shape, Key(0, step.parameter), step.layout, wide))
    stored = {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}.get(dtype, expected.dtype)
    found = numpy_helper.to_array(tensor).astype(np.float64)
    assert (found == expected.to(stored).double().numpy()).all()


def test_bfloat16_rounds_to_nearest_even_as_torch_does():
    x = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    ours = encode(x, "bfloat16").view(np.uint16).astype(np.int32)
    theirs = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy().astype(np.int32) & 0xFFFF
    assert (ours == theirs).all()


@pytest.mark.parametrize("name", ["light_squeezenet", "light_resnet50"])
def test_weights_that_the_file_only_fills_become_drawn_ones(name, tmp_path):
    source = LIGHT / f"{name}.onnx"
    before = source.read_bytes()
    graph = read(source)
    plan = plan_of(graph)
    onnx_file.apply(source, tmp_path / "fixed.onnx", graph, plan)
    assert source.read_bytes() == before
    new = read(tmp_path / "fixed.onnx")
    drawn = [step for step in plan.draws if (step.std_after or 0) > 0]
    assert len(drawn) > 20
    for step in drawn[:5]:
        expected = step.spec.draw(step.shape, Key(0, step.parameter), step.layout)
        assert (values(new, step.parameter) == expected).all()


def test_a_tied_weight_that_the_exporter_stored_twice_changes_in_both_places(tmp_path):
    rng = np.random.default_rng(0)
    table = rng.standard_normal((20, 8)).astype(np.float32)
    tensors = [
        numpy_helper.from_array(table, "table.weight"),
        numpy_helper.from_array(table.T.copy(), "onnx::MatMul_9"),
    ]
    graph_proto = helper.make_graph(
        [
            helper.make_node("Gather", ["table.weight", "x"], ["h"]),
            helper.make_node("MatMul", ["h", "onnx::MatMul_9"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, (2, 5))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 5, 20))],
        tensors,
    )
    model = helper.make_model(
        graph_proto, producer_name="pytorch", opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    source = tmp_path / "tied.onnx"
    onnx.save(model, source)
    graph = read(source)
    onnx_file.apply(source, tmp_path / "fixed.onnx", graph, plan_of(graph))
    arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "fixed.onnx").graph.initializer}
    assert not (arrays["table.weight"] == table).all()
    assert (arrays["onnx::MatMul_9"] == arrays["table.weight"].T).all()


def test_the_model_itself_is_never_the_output(exported):
    graph = read(exported)
    before = exported.read_bytes()
    with pytest.raises(UsageError, match="is the model itself"):
        onnx_file.apply(exported, exported, graph, plan_of(graph))
    assert exported.read_bytes() == before


def test_a_plan_of_another_file_is_refused_and_nothing_is_written(exported, tmp_path):
    source = tmp_path / "one.onnx"
    onnx.save(one_layer(TensorProto.FLOAT, "other"), source)
    graph = read(source)
    with pytest.raises(UsageError, match="which the file does not have"):
        onnx_file.apply(source, tmp_path / "fixed.onnx", graph, plan_of(read(exported)))
    assert [p.name for p in tmp_path.iterdir()] == ["one.onnx"]
