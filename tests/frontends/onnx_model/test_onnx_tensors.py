"""Weights of every type and from every place hold the numbers that onnx itself reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import TensorProto, helper, numpy_helper

from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.sources import FilledSource
from initadvisor.graph import Parameter

N = helper.make_node
FLOATS = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"]
INTEGERS = ["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64", "INT4", "UINT4", "INT2", "UINT2"]


def _elements(parameter: Parameter) -> np.ndarray:
    assert parameter.source is not None
    chunks = [chunk.astype(np.float64) for chunk in parameter.source.chunks(7)]
    return np.concatenate(chunks).reshape(parameter.shape)


def _read(models: Models, tensor: onnx.TensorProto, rows: int) -> Parameter:
    model = models.proto([N("MatMul", ["x", "w"], ["y"])], inputs={"x": (1, rows)})
    model.graph.initializer.append(tensor)
    return load(models.save(model)).parameters["w"]


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("rows", [4, 500], ids=["inline", "in_file"])
@pytest.mark.parametrize("kind", FLOATS + INTEGERS)
def test_every_type_holds_what_onnx_reads(models: Models, kind: str, rows: int, raw: bool) -> None:
    low, high = (0, 3) if kind.startswith("U") else (-2, 2)
    values = np.random.default_rng(0).integers(low, high, (rows, 6)).astype(np.float64)
    code = getattr(TensorProto, kind)
    tensor = helper.make_tensor("w", code, values.shape, values.astype(np.float32).reshape(-1))
    if raw:
        array = numpy_helper.to_array(tensor)
        tensor = numpy_helper.from_array(array, "w")
        assert tensor.HasField("raw_data")
    expected = numpy_helper.to_array(tensor).astype(np.float64)
    parameter = _read(models, tensor, rows)
    np.testing.assert_array_equal(_elements(parameter), expected)
    assert parameter.is_float is (kind in FLOATS)


def test_specials_survive(models: Models) -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, 5e-324]])
    np.testing.assert_array_equal(_elements(_read(models, numpy_helper.from_array(values, "w"), 2)), values)


def test_an_empty_tensor_is_no_parameter(models: Models) -> None:
    graph = models.load([N("MatMul", ["x", "w"], ["y"])], {"w": np.zeros((4, 0), np.float32)})
    assert not graph.parameters
    assert graph.values[graph.nodes[0].outputs[0]].shape == (1, 0)


@pytest.mark.parametrize("layout", ["one_file", "subfolder", "no_length"])
def test_external_data_is_mapped(models: Models, layout: str) -> None:
    draw = np.random.default_rng(0)
    first, second = draw.random((4, 8), dtype=np.float32), draw.random((8, 3), dtype=np.float32)
    model = models.proto([N("MatMul", ["x", "a"], ["t"]), N("MatMul", ["t", "b"], ["y"])], {"a": first, "b": second})
    place = "data/weights.bin" if layout == "subfolder" else "weights.bin"
    file = models.folder / place
    file.parent.mkdir(exist_ok=True)
    offset = 0
    with file.open("wb") as out:
        for tensor in model.graph.initializer:
            blob = tensor.raw_data
            out.write(blob + bytes(100))
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            entries = {"location": place, "offset": str(offset), "length": str(len(blob)), "checksum": "ignored"}
            if layout == "no_length":
                del entries["length"]
            for key, value in entries.items():
                tensor.external_data.add(key=key, value=value)
            offset += len(blob) + 100
    graph = load(models.save(model))
    np.testing.assert_array_equal(_elements(graph.parameters["a"]), first)
    np.testing.assert_array_equal(_elements(graph.parameters["b"]), second)


def test_external_data_as_onnx_saves_it(models: Models, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    model = models.proto([N("MatMul", ["x", "w"], ["y"])], {"w": values}, inputs={"x": (1, 64)})
    path = tmp_path / "saved.onnx"
    onnx.save(model, path, save_as_external_data=True, location="saved.data", size_threshold=0)
    np.testing.assert_array_equal(_elements(load(path).parameters["w"]), values)


@pytest.mark.parametrize("flat", [True, False])
def test_sparse_initializers_are_laid_out(models: Models, flat: bool) -> None:
    dense = np.zeros((4, 6), np.float32)
    dense[1, 2], dense[3, 5] = 2.5, -1.0
    places = np.argwhere(dense)
    indices = np.ravel_multi_index(places.T, dense.shape) if flat else places
    model = models.proto([N("MatMul", ["x", "w"], ["y"])])
    sparse = model.graph.sparse_initializer.add(dims=dense.shape)
    sparse.values.CopyFrom(numpy_helper.from_array(dense[dense != 0], "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(indices.astype(np.int64)))
    np.testing.assert_array_equal(_elements(load(models.save(model)).parameters["w"]), dense)


def test_weights_in_constant_nodes(models: Models) -> None:
    values = np.random.default_rng(0).random((4, 5), dtype=np.float32)
    nodes = [
        N("Constant", [], ["w"], value=numpy_helper.from_array(values)),
        N("Constant", [], ["b"], value_floats=[1.0, 2.0, 3.0, 4.0, 5.0]),
        N("Gemm", ["x", "w", "b"], ["y"]),
    ]
    graph = models.load(nodes)
    np.testing.assert_array_equal(_elements(graph.parameters["w"]), values)
    np.testing.assert_array_equal(_elements(graph.parameters["b"]), [1, 2, 3, 4, 5])
    assert [node.op for node in graph.nodes] == ["gemm"]


def test_filled_weights_are_read_as_weights(models: Models) -> None:
    value = numpy_helper.from_array(np.array([0.25], np.float32))
    graph = models.load(
        [N("ConstantOfShape", ["s"], ["w"], value=value), N("MatMul", ["x", "w"], ["y"])], {"s": np.array([4, 3])}
    )
    source = graph.parameters["w"].source
    assert isinstance(source, FilledSource)
    assert source.value == 0.25
    assert graph.parameters["w"].shape == (4, 3)


def test_initializers_may_be_listed_as_inputs(models: Models) -> None:
    model = models.proto([N("MatMul", ["x", "w"], ["y"])], {"w": np.ones((4, 4), np.float32)})
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 4]))
    graph = load(models.save(model))
    assert [graph.values[i].name for i in graph.inputs] == ["x"]
    assert list(graph.parameters) == ["w"]


def test_weights_behind_identity_transpose_and_cast_stay_reachable(models: Models) -> None:
    values = np.random.default_rng(0).random((5, 4)).astype(np.float16)
    nodes = [
        N("Identity", ["w"], ["i"]),
        N("Transpose", ["i"], ["t"], perm=[1, 0]),
        N("Cast", ["t"], ["c"], to=TensorProto.FLOAT),
        N("MatMul", ["x", "c"], ["y"]),
    ]
    graph = models.load(nodes, {"w": values})
    assert [node.op for node in graph.nodes] == ["permute", "cast", "matmul"]
    (parameter,) = graph.parameters.values()
    assert parameter.dtype == "float16"
    np.testing.assert_array_equal(_elements(parameter), values)
    assert graph.values[graph.nodes[0].inputs[0]].parameter == parameter.name


def test_a_type_that_cannot_be_read_is_a_parameter_without_elements(models: Models) -> None:
    """Six-bit floats are in the standard; their numbers are unknown here, which is not the same as none."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT6E2M3, dims=[4, 4], raw_data=bytes(12))
    model = models.proto([N("MatMul", ["x", "w"], ["y"])])
    model.graph.initializer.append(tensor)
    graph = load(models.save(model))
    assert graph.parameters["w"].dtype == "float6_e2m3"
    assert graph.parameters["w"].source is None
    assert graph.coverage.notes == ["1 weights were not read: their type (float6_e2m3) is not known here"]


def test_a_weightless_graph_is_a_graph(models: Models) -> None:
    graph = models.load([N("Relu", ["x"], ["y"])])
    assert not graph.parameters
    assert [node.op for node in graph.nodes] == ["relu"]
