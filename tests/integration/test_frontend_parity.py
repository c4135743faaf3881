"""A PyTorch module and the same module exported to ONNX give the same findings for the same layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from initadvisor.report import Report
from tests.integration.faults import he_mlp, plant
from tests.integration.judging import check


class Block(nn.Module):
    """A pre-norm transformer block with a packed projection."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1))
        attended = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.proj(attended)
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Decoder(nn.Module):
    """Blocks between an embedding and a projection tied to it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 32)
        self.blocks = nn.Sequential(*[Block() for _ in range(3)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.table(tokens))))


class Recurrent(nn.Module):
    """An LSTM with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def broken_mlp() -> nn.Module:
    model = he_mlp()
    plant(model, "4", "x0.1")
    plant(model, "8", "duplicated-filters")
    return model


def broken_convolutions() -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(6):
        convolution = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(8, 4, 1))
    plant(model, "3", "x10")
    plant(model, "9", "zeroed")
    return model


def copied_encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


def default_stack() -> nn.Module:
    return nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 10))


MODELS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "broken_mlp": (broken_mlp, torch.zeros(4, 64)),
    "broken_convolutions": (broken_convolutions, torch.zeros(2, 8, 8, 8)),
    "default_stack": (default_stack, torch.zeros(4, 64)),
    "copied_encoder": (copied_encoder, torch.zeros(2, 9, 32)),
    "decoder": (Decoder, torch.zeros(2, 6, dtype=torch.long)),
    "recurrent": (Recurrent, torch.zeros(2, 7, 16)),
}


def _layer_findings(report: Report) -> set[tuple[str, str]]:
    return {(f.rule, f.subject.name) for f in report.findings if f.subject.kind == "layer"}


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("name", MODELS)
def test_module_and_export_have_the_same_findings(name: str, exporter: str, tmp_path: Path) -> None:
    build, batch = MODELS[name]
    torch.manual_seed(0)
    model = build().eval()
    path = tmp_path / "model.onnx"
    if exporter == "dynamo":
        torch.onnx.export(model, (batch,), path, dynamo=True, external_data=False, verbose=False)
    else:
        torch.onnx.export(model, (batch,), path, dynamo=False, verbose=False)
    from initadvisor.engine import Checker, CheckSettings
    from initadvisor.frontends.options import LoadOptions

    own = Checker(CheckSettings(load=LoadOptions(example=batch))).check(model)
    exported = check(path)
    assert _layer_findings(exported) == _layer_findings(own)
    assert _layer_findings(own), "a model without findings would make this test empty"
