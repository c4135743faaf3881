"""Exports of torch modules by both exporters: the same outputs, and the same gradient for every parameter."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from initadvisor.analysis.structure import describe
from initadvisor.frontends.onnx_model import load
from initadvisor.probe.onnx_torch import to_module


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.group = nn.GroupNorm(2, 4)
        self.pool = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = nn.functional.silu(self.norm(self.stem(x)))
        x = nn.functional.hardswish(self.depthwise(x)) + x
        x = self.pool(nn.functional.gelu(self.group(self.up(x))))
        return self.head(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 4, batch_first=True)
        self.rnn = nn.RNN(4, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, tokens):
        hidden, _ = self.lstm(self.embedding(tokens))
        hidden, _ = self.gru(hidden)
        hidden, _ = self.rnn(hidden)
        return self.head(hidden.mean(1))


def _encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _perturbed(module):
    """Parameters and buffers without zeros or ones, so that exporters merge and remove none."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + (0.5 if name.endswith("var") else 0.0))
    return module.eval()


MODELS = {
    "convolutional": (Convolutional, partial(torch.randn, 2, 3, 8, 8)),
    "recurrent": (Recurrent, partial(torch.randint, 0, 20, (2, 6))),
    "encoder": (_encoder, partial(torch.randn, 2, 5, 8)),
}


def _export(module, example, path, dynamo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(module, (example,), path, dynamo=True, external_data=False, verbose=False)
        else:
            # Constants are not folded, so that the batch norm stays a node of its own.
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=False,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )


def _gradient(module, graph, name):
    """The gradient of a parameter by its name, else put together from the stored tensors that hold its elements."""
    held = dict(module.named_parameters())
    if name in held:
        return held[name].grad
    parameter = graph.parameters[name]
    if len(parameter.pieces) == 1 and parameter.pieces[0][1:] == (0, parameter.size):
        (path,) = module.onnx.parameters[name]
        return held[path].grad.reshape(parameter.shape)
    parts = [held[module.onnx.stored[s][0]].grad.reshape(-1)[a:b] for s, a, b in parameter.pieces]
    return torch.cat(parts).reshape(parameter.shape)


@pytest.mark.parametrize(("name", "dynamo"), [*((n, False) for n in MODELS), ("encoder", True), ("recurrent", True)])
def test_outputs_and_gradients_equal_those_of_the_torch_module(tmp_path, reference, name, dynamo):
    torch.manual_seed(5)
    make, draw = MODELS[name]
    original, example = _perturbed(make()), draw()
    path = tmp_path / "model.onnx"
    _export(original, example, path, dynamo)
    graph = describe(load(path))
    module = to_module(graph)
    batch = draw()
    expected, found = original(batch), module(batch)
    (other,) = reference(path, {module.onnx.inputs[0]: batch.numpy()})
    np.testing.assert_allclose(found.detach(), other, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for parameter, own in original.named_parameters():
        if _cut_by_the_exporter(parameter, dynamo):
            continue
        got = _gradient(module, graph, parameter)
        got = got if got.shape == own.shape else got.t()
        square = own.dim() == 2 and own.shape[0] == own.shape[1]
        if square and not torch.allclose(got, own.grad, rtol=1e-3, atol=1e-5):
            got = got.t()
        torch.testing.assert_close(got, own.grad, rtol=1e-3, atol=1e-5, msg=lambda m, p=parameter: f"{p}: {m}")
        assert got.any(), parameter


def _cut_by_the_exporter(parameter, dynamo):
    """Dynamo unrolls an RNN and folds its first step, whose state is zero, into a constant."""
    return dynamo and parameter == "rnn.bias_hh_l0"


@pytest.mark.parametrize("name", ["convolutional", "encoder"])
def test_every_parameter_of_an_export_has_a_gradient(tmp_path, name):
    torch.manual_seed(6)
    make, draw = MODELS[name]
    path = tmp_path / "model.onnx"
    _export(make().eval(), draw(), path, False)
    module = to_module(path)
    found = module(draw())
    (found * torch.randn_like(found)).sum().backward()
    assert [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []
