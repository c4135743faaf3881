"""The same module through torch and through both ONNX exporters gives the same layers."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import by_name, recorded, spans
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis.structure import describe
from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph, Layer

WIDTH = 32


def _drawn(module: nn.Module) -> nn.Module:
    """With biases that an exporter cannot drop as zeros, nor merge as equal."""
    torch.manual_seed(0)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.dim() == 1:
                nn.init.normal_(parameter, mean=float(name == "weight"), std=0.1)
    return module.eval()


class PreNorm(nn.Module):
    """A decoder block with a fused projection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Root(nn.Module):
    """RMS norm in elementary operators."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Gated(nn.Module):
    """A block with separate projections, a written-out softmax and SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = Root(), Root()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(WIDTH, 64, bias=False) for _ in range(2))
        self.down = nn.Linear(64, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        q, k, v = (f(y).unflatten(-1, (4, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        x = x + self.o((torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1) @ v).transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Convolutional(nn.Module):
    """Group norms, a projection skip, depthwise, squeeze-excite, transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.GroupNorm(2, 8)
        self.deep, self.norm2 = nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.GroupNorm(2, 8)
        self.wide, self.norm3 = nn.Conv2d(8, 16, 1, bias=False), nn.GroupNorm(2, 16)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.skip, self.norm4 = nn.Conv2d(8, 16, 1, bias=False), nn.GroupNorm(2, 16)
        self.grow, self.head = nn.ConvTranspose2d(16, 6, 4, 2, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(self.stem(x)))
        y = F.hardswish(self.norm2(self.deep(x)))
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        x = self.norm3(self.wide(y)) + self.norm4(self.skip(x))
        return self.head(F.leaky_relu(self.grow(F.relu(x)), 0.2))


class Recurrent(nn.Module):
    """An embedding, an LSTM in both directions, a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 12), nn.Linear(10, 3)
        self.lstm = nn.LSTM(12, 8, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(16, 10, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(self.lstm(self.table(x))[0])[0][:, -1])


MODELS: dict[str, tuple[type[nn.Module], torch.Tensor]] = {
    "pre-norm": (PreNorm, torch.zeros(2, 6, WIDTH)),
    "gated": (Gated, torch.zeros(2, 6, WIDTH)),
    "convolutional": (Convolutional, torch.zeros(2, 3, 16, 16)),
    "recurrent": (Recurrent, torch.zeros(2, 6, dtype=torch.long)),
}


def _export(module: nn.Module, example: torch.Tensor, path: Path, exporter: str) -> Graph:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            torch.onnx.export(module, (example,), str(path), dynamo=True)
        else:
            torch.onnx.export(module, (example,), str(path), dynamo=False, opset_version=17)
    return describe(load(str(path), LoadOptions()))


def _row(layer: Layer) -> dict[str, Any]:
    function = layer.activation
    return {
        "kind": layer.kind,
        "role": layer.role,
        "fans": (layer.fan_in, layer.fan_out),
        "groups": (layer.groups, layer.receptive_field),
        "activation": (function.name, function.gated) if function and layer.kind != "embedding" else None,
        "norms": (layer.norm_before, layer.norm_after, bool(layer.scale_invariant)),
        "residual": layer.residual_role,
        "bias": layer.bias is not None,
        "blocks": spans(layer),
        "depth": layer.depth,
    }


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize("name", MODELS)
def test_the_layers_survive_the_export(name: str, exporter: str, tmp_path: Path) -> None:
    build, example = MODELS[name]
    module = _drawn(build())
    here = recorded(module, example)
    there = _export(module, example, tmp_path / "model.onnx", exporter)
    assert {n: _row(x) for n, x in by_name(there).items()} == {n: _row(x) for n, x in by_name(here).items()}
    assert there.summary["residual_adds"] == here.summary["residual_adds"]
    assert there.summary["attentions"] == here.summary["attentions"]
    assert there.coverage.parameters == 1.0
