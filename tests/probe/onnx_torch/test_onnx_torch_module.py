"""The module made of an ONNX graph: what it is made of, how its layers are reached, what its modes do."""

import copy

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from initadvisor.errors import FormatError, TargetCodeError, UnsupportedError, UsageError
from initadvisor.frontends.onnx_model import load
from initadvisor.probe.onnx_torch import to_module

RNG = np.random.default_rng(0)


def _draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def _convolutional(write, **options):
    nodes = [
        helper.make_node("Conv", ["x", "features.conv.weight", "features.conv.bias"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"], momentum=0.8),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Dropout", ["c", "ratio"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Reshape", ["e", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "fc.weight"], ["g"]),
        helper.make_node("Add", ["g", "fc.bias"], ["y"]),
    ]
    weights = {
        "features.conv.weight": _draw(4, 3, 3, 3),
        "features.conv.bias": _draw(4),
        "bn.weight": _draw(4),
        "bn.bias": _draw(4),
        "bn.mean": _draw(4),
        "bn.var": np.abs(_draw(4)) + 0.5,
        "ratio": np.float32(0.5),
        "shape": np.array([0, -1]),
        "fc.weight": _draw(4, 5),
        "fc.bias": _draw(5),
    }
    return write(nodes, {"x": ("float32", (3, 3, 6, 6))}, {"y": "float32"}, weights, **options)


def test_parameters_are_the_float_initializers_under_their_names(write):
    module = to_module(_convolutional(write))
    assert set(dict(module.named_parameters())) == {
        "features.conv.weight",
        "features.conv.bias",
        "bn.weight",
        "bn.bias",
        "fc.weight",
        "fc.bias",
    }
    assert {"bn.mean", "bn.var", "shape", "ratio"} <= set(dict(module.named_buffers()))
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_hooks_see_each_layer_under_the_name_of_the_frontend(write):
    module = to_module(_convolutional(write))
    seen = {}
    for name, path in module.onnx.layers.items():
        module.get_submodule(path).register_forward_hook(
            lambda node, inputs, output, name=name: seen.update({name: output})
        )
    x = torch.randn(3, 3, 6, 6)
    result = module(x)
    parameters = dict(module.named_parameters())
    expected = torch.nn.functional.conv2d(
        x, parameters["features.conv.weight"], parameters["features.conv.bias"], padding=1
    )
    torch.testing.assert_close(seen["features.conv"], expected)
    assert seen["fc"] is result, "the bias belongs to the layer"
    assert set(module.onnx.layers) == {"features.conv", "bn", "fc"}


def test_forward_equals_onnxruntime(write, reference):
    path = _convolutional(write)
    x = _draw(3, 3, 6, 6)
    np.testing.assert_allclose(to_module(path)(torch.from_numpy(x)).detach(), reference(path, {"x": x})[0], rtol=1e-4)


def test_training_mode_switches_dropout_and_batch_norm(write):
    module = to_module(_convolutional(write))
    assert not module.training
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    x = torch.randn(3, 3, 6, 6)
    assert torch.equal(module(x), module(x))
    assert all(torch.equal(before[name], buffer) for name, buffer in module.named_buffers())
    module.train()
    norm, dropped = [], []
    module.get_submodule(module.onnx.layers["bn"]).register_forward_hook(lambda m, i, o: norm.append(o))
    node = next(m for m in module.modules() if getattr(m, "spelling", "") == "Dropout")
    node.register_forward_hook(lambda m, i, o: dropped.append((i[0], o)))
    module(x)
    scale, shift = dict(module.named_parameters())["bn.weight"], dict(module.named_parameters())["bn.bias"]
    torch.testing.assert_close(norm[0].mean((0, 2, 3)), shift, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm[0].std((0, 2, 3), unbiased=False), scale.abs(), rtol=1e-3, atol=1e-4)
    given, kept = dropped[0]
    torch.testing.assert_close(kept[kept != 0], 2 * given[kept != 0])
    assert 0.3 < (kept[given > 0] == 0).double().mean() < 0.7
    after = dict(module.named_buffers())["bn.mean"]
    assert not torch.equal(after, before["bn.mean"])


def test_every_parameter_gets_a_gradient_and_an_optimizer_lowers_a_loss(write):
    module = to_module(_convolutional(write))
    torch.manual_seed(0)
    x, target = torch.randn(3, 3, 6, 6), torch.tensor([0, 2, 4])
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), target)
        loss.backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_inputs_are_taken_in_order_or_by_name_and_missing_ones_are_named(write):
    path = write(
        [helper.make_node("Sub", ["a", "b"], ["y"])],
        {"a": ("float32", (2,)), "b": ("float32", (2,))},
        {"y": "float32"},
    )
    module = to_module(path)
    one, two = torch.ones(2), torch.full((2,), 3.0)
    assert module(one, two).tolist() == module(b=two, a=one).tolist() == [-2, -2]
    with pytest.raises(UsageError, match="input b"):
        module(one)
    with pytest.raises(UsageError, match="takes 2 inputs"):
        module(one, two, c=one)


def test_equal_tensors_that_the_exporter_merged_are_parameters_of_their_own(write):
    nodes = [
        helper.make_node("Gemm", ["x", "one.weight", "one.bias"], ["/one/Gemm_output_0"], "/one/Gemm", transB=1),
        helper.make_node("Relu", ["/one/Gemm_output_0"], ["/Relu_output_0"], "/Relu"),
        helper.make_node("Identity", ["one.bias"], ["two.bias"], "Identity_0"),
        helper.make_node("Gemm", ["/Relu_output_0", "two.weight", "two.bias"], ["y"], "/two/Gemm", transB=1),
    ]
    weights = {"one.weight": _draw(4, 4), "two.weight": _draw(4, 4), "one.bias": np.zeros(4, np.float32)}
    path = write(nodes, {"x": ("float32", (3, 4))}, {"y": "float32"}, weights)
    graph = load(path)
    shared = [p.name for p in graph.parameters.values() if p.shape == (4,)]
    module = to_module(graph)
    module(torch.randn(3, 4)).sum().backward()
    held = {name: module.onnx.parameters[name] for name in shared}
    assert len(shared) == len(set(held.values())) == 2
    parameters = dict(module.named_parameters())
    gradients = [parameters[paths[0]].grad for paths in held.values()]
    assert not torch.equal(*gradients)
    assert any(torch.equal(gradient, torch.full((4,), 3.0)) for gradient in gradients)


def test_weights_that_are_filled_shapes_or_constants_are_parameters(write):
    filled = helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["w"], value=filled),
        helper.make_node("Constant", [], ["v"], value=numpy_helper.from_array(_draw(3, 2))),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["a", "v"], ["y"]),
    ]
    path = write(nodes, {"x": ("float32", (2, 4))}, {"y": "float32"}, {"shape": np.array([4, 3])})
    module = to_module(path)
    module(torch.randn(2, 4)).sum().backward()
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {"w": (4, 3), "v": (3, 2)}
    assert all(parameter.grad.any() for parameter in module.parameters())


def test_functions_of_the_model_run_and_carry_gradients(write, reference):
    body = helper.make_function(
        "own",
        "Scaled",
        ["a", "b"],
        ["c"],
        [
            helper.make_node("Mul", ["a", "b"], ["inner"]),
            _with_reference(helper.make_node("LeakyRelu", ["inner"], ["c"]), "alpha", "slope"),
        ],
        [helper.make_opsetid("", 17)],
        ["slope"],
    )
    nodes = [
        helper.make_node("Scaled", ["x", "w"], ["h"], domain="own", slope=0.5),
        helper.make_node("Scaled", ["h", "w"], ["y"], domain="own", slope=0.25),
    ]
    path = write(
        nodes, {"x": ("float32", (2, 4))}, {"y": "float32"}, {"w": _draw(4)}, functions=[body], domains=("own",)
    )
    x = _draw(2, 4)
    module = to_module(path)
    found = module(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach(), reference(path, {"x": x})[0], rtol=1e-5)
    found.sum().backward()
    assert next(iter(module.parameters())).grad.any()


def _with_reference(node, name, outer):
    attribute = node.attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = name, outer, 1
    return node


def test_an_operator_of_another_domain_is_named_with_its_node(write):
    path = write(
        [helper.make_node("Strange", ["x"], ["y"], "here", domain="elsewhere")],
        {"x": ("float32", (2,))},
        {"y": "float32"},
        domains=("elsewhere",),
    )
    with pytest.raises(UnsupportedError, match=r"node 'here' \('elsewhere::Strange'"):
        to_module(path)


def test_a_node_that_fails_is_named_with_what_it_got(write):
    path = write(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "product")],
        {"x": ("float32", None)},
        {"y": "float32"},
        {"w": _draw(3, 2)},
    )
    with pytest.raises(TargetCodeError, match=r"node 'product' \('MatMul'.*float32\[2, 5\], float32\[3, 2\]"):
        to_module(path)(torch.randn(2, 5))


@pytest.mark.parametrize("name", ["", "training", "forward", "a..b", ".a", "x.forward", "_modules", "onnx"])
def test_names_that_torch_cannot_take_do_no_harm(write, name):
    if not name:
        name = "a."
    path = write(
        [helper.make_node("Mul", ["x", name], ["y"])], {"x": ("float32", (2,))}, {"y": "float32"}, {name: _draw(2)}
    )
    module = to_module(path)
    module(torch.ones(2)).sum().backward()
    (held,) = module.onnx.stored[name]
    assert dict(module.named_parameters())[held].grad.tolist() == [1, 1]


def test_a_graph_from_elsewhere_is_refused():
    from initadvisor.graph import Graph

    with pytest.raises(UsageError, match="not an ONNX file"):
        to_module(Graph("model", "torch"))


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07 nothing of worth")
    with pytest.raises(FormatError):
        to_module(path)


def test_a_copy_is_a_module_of_its_own(write):
    module = to_module(_convolutional(write))
    other = copy.deepcopy(module)
    x = torch.randn(3, 3, 6, 6)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other(x).any()
    assert module(x).any()


def test_half_precision_and_autocast_run(write):
    module = to_module(_convolutional(write))
    x = torch.randn(3, 3, 6, 6)
    whole = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(x)
    torch.testing.assert_close(mixed.float(), whole, rtol=0.1, atol=0.1)
    narrow = module.to(torch.bfloat16)(x.bfloat16())
    torch.testing.assert_close(narrow.float(), whole, rtol=0.1, atol=0.1)


def test_branches_capture_what_lies_outside_and_pass_gradients(write):
    def body(name, kind):
        return helper.make_graph(
            [helper.make_node(kind, ["x", "w"], [name])], name, [], [helper.make_tensor_value_info(name, 1, None)]
        )

    node = helper.make_node(
        "If", ["which"], ["y"], "choice", then_branch=body("a", "Mul"), else_branch=body("b", "Add")
    )
    path = write(
        [node], {"which": ("bool", ()), "x": ("float32", (3,))}, {"y": "float32"}, {"w": np.full(3, 2, np.float32)}
    )
    module = to_module(path)
    x = torch.tensor([1.0, 2.0, 3.0])
    assert module(torch.tensor(True), x).tolist() == [2, 4, 6]
    assert module(torch.tensor(False), x).tolist() == [3, 4, 5]
    module(torch.tensor(True), x).sum().backward()
    assert next(iter(module.parameters())).grad.tolist() == [1, 2, 3]
