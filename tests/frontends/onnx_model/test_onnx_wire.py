"""The scan of the wire format: everything but the large payloads comes through, and those are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Models
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from initadvisor.frontends.onnx_model import load, varints
from initadvisor.frontends.onnx_model.wire import CHILDREN, DROPPED, PAYLOADS, Payloads, skeleton

MESSAGES = {
    "model": onnx.ModelProto,
    "graph": onnx.GraphProto,
    "function": onnx.FunctionProto,
    "node": onnx.NodeProto,
    "attribute": onnx.AttributeProto,
    "sparse": onnx.SparseTensorProto,
    "tensor": onnx.TensorProto,
}


def test_field_numbers_are_those_of_the_schema() -> None:
    for kind, message in MESSAGES.items():
        fields = {field.number: field for field in message.DESCRIPTOR.fields}
        children = {
            number: field.message_type.name for number, field in fields.items() if field.message_type is not None
        }
        names = {message.DESCRIPTOR.name: name for name, message in MESSAGES.items()}
        holders = {number: names[child] for number, child in children.items() if child in names}
        assert CHILDREN[kind] == {n: k for n, k in holders.items() if n in CHILDREN[kind]}, kind
        assert all(fields[number].name in ("doc_string", "training_info") for number in DROPPED[kind])
    assert {number: TensorProto.DESCRIPTOR.fields_by_number[number].name for number in PAYLOADS} == PAYLOADS


def test_every_place_of_a_tensor_is_scanned() -> None:
    """No field of the schema can hold a large tensor that the scan does not descend into."""
    names = {message.DESCRIPTOR.name: name for name, message in MESSAGES.items()}
    for kind, message in MESSAGES.items():
        for field in message.DESCRIPTOR.fields:
            if field.message_type is not None and field.message_type.name in names and field.name != "training_info":
                assert CHILDREN[kind].get(field.number) == names[field.message_type.name], (kind, field.name)


def _model(*tensors: onnx.TensorProto, **fields: object) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], doc_string="d" * 5000)], "g", [], [], list(tensors)
    )
    model = helper.make_model(graph, producer_name="someone", **fields)
    model.doc_string = "text" * 1000
    return model


def test_all_but_large_payloads_and_doc_strings_comes_through() -> None:
    small, large = np.arange(10.0), np.random.default_rng(0).random(5000)
    model = _model(numpy_helper.from_array(small, "small"), numpy_helper.from_array(large, "large"))
    data = model.SerializeToString()
    message, payloads = skeleton(memoryview(data))
    assert len(message) < 1000
    read = onnx.ModelProto.FromString(message)
    marker = read.graph.initializer[1].raw_data
    payload = payloads.find(marker)
    assert payload is not None
    assert payload.field == "raw_data"
    assert data[payload.offset : payload.offset + payload.length] == large.tobytes()
    read.graph.initializer[1].raw_data = large.tobytes()
    for message_ in (model, model.graph.node[0]):
        message_.ClearField("doc_string")
    assert read == model


def test_a_marker_cannot_be_forged() -> None:
    """16 bytes that look like the marker of another scan are data."""
    other = Payloads()
    from initadvisor.frontends.onnx_model.wire import Payload

    marker = other.add(Payload(0, 16, "raw_data"))
    assert other.find(marker) == Payload(0, 16, "raw_data")
    assert Payloads().find(marker) is None
    assert other.find(marker[:8]) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["float_data", "int32_data", "int64_data", "double_data", "raw_data"]), st.integers(0, 900)
        ),
        max_size=5,
    )
)
def test_any_mix_of_tensors_parses_to_the_same_model(parts: list[tuple[str, int]]) -> None:
    draw = np.random.default_rng(1)
    tensors = []
    for number, (field, count) in enumerate(parts):
        dtype = {"int32_data": np.int32, "int64_data": np.int64, "double_data": np.float64}.get(field, np.float32)
        tensor = numpy_helper.from_array(draw.integers(-9, 9, count).astype(dtype), f"t{number}")
        if field != "raw_data":
            values = numpy_helper.to_array(tensor)
            tensor.ClearField("raw_data")
            getattr(tensor, field).extend(values.tolist())
        tensors.append(tensor)
    data = _model(*tensors).SerializeToString()
    message, payloads = skeleton(memoryview(data))
    read = onnx.ModelProto.FromString(message)
    for tensor, whole in zip(read.graph.initializer, tensors, strict=True):
        payload = payloads.find(tensor.raw_data)
        if payload is None:
            assert tensor == whole
            continue
        piece = np.frombuffer(data, np.uint8)[payload.offset : payload.offset + payload.length]
        expected = numpy_helper.to_array(whole)
        if payload.field in ("int32_data", "int64_data"):
            np.testing.assert_array_equal(varints.decode(piece, expected.dtype), expected)
        else:
            np.testing.assert_array_equal(piece.view(expected.dtype), expected)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), st.integers(1, 64))
def test_varints_are_decoded_across_chunks(values: list[int], chunk: int) -> None:
    tensor = TensorProto(int64_data=values)
    data = np.frombuffer(tensor.SerializeToString(), np.uint8)
    body = data[len(data) - sum(_width(v) for v in values) :]
    before = varints._CHUNK
    varints._CHUNK = max(chunk, 10)
    try:
        assert varints.count(body) == len(values)
        assert varints.decode(body, np.dtype("<i8")).tolist() == values
    finally:
        varints._CHUNK = before


def _width(value: int) -> int:
    return 10 if value < 0 else max(-(-value.bit_length() // 7), 1)


def test_a_file_above_two_gib_is_read(models: Models) -> None:
    """Protobuf itself stops at 2 GiB. The weights are a hole in the file, so that it takes no space."""
    shape = (1 << 15, 20_000)
    size = shape[0] * shape[1] * 4
    assert size > 1 << 31
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape).SerializeToString()
    body = tensor + b"\x4a" + _varint(size)
    model = models.proto([helper.make_node("MatMul", ["x", "w"], ["y"])], inputs={"x": (1, shape[0])})
    graph = model.graph.SerializeToString() + b"\x2a" + _varint(len(body) + size) + body
    model.ClearField("graph")
    head = model.SerializeToString() + b"\x3a" + _varint(len(graph) + size) + graph
    path: Path = models.folder / "large.onnx"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    parameter = load(path).parameters["w"]
    assert parameter.shape == shape
    assert parameter.source is not None
    first = next(iter(parameter.source.chunks(1000)))
    assert not first.any()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_elements_written_one_field_each_are_read(models: Models) -> None:
    """A writer may leave float_data unpacked; protobuf joins what the scan leaves alone."""
    values = np.linspace(-1, 1, 600, dtype=np.float32)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[600]).SerializeToString()
    body = tensor + b"".join(b"\x25" + value.tobytes() for value in values)
    model = models.proto([helper.make_node("Mul", ["x", "w"], ["y"])], inputs={"x": (1, 600)})
    graph = model.graph.SerializeToString() + b"\x2a" + _varint(len(body)) + body
    model.ClearField("graph")
    path = models.save(model.SerializeToString() + b"\x3a" + _varint(len(graph)) + graph)
    source = load(path).parameters["w"].source
    assert source is not None
    np.testing.assert_array_equal(np.concatenate(list(source.chunks(100))), values)


@pytest.mark.parametrize("cut", [1, 10, 100, 1000])
def test_weights_stay_in_the_file(models: Models, cut: int) -> None:
    """The source reads the map of the file: no copy is made of a large tensor."""
    values = np.random.default_rng(0).random((300, 40), dtype=np.float32)
    graph = models.load([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": values}, inputs={"x": (1, 300)})
    source = graph.parameters["w"].source
    assert source is not None
    raw = source.raw()
    assert raw is not None
    assert not raw.flags.owndata
    assert not raw.flags.writeable
    np.testing.assert_array_equal(np.concatenate([c.copy() for c in source.chunks(cut)]), values.reshape(-1))
