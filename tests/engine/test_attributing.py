"""`attribute` on models of which it is known where they look."""

from __future__ import annotations

import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import UsageError
from initadvisor.probe.relevance import relevance

SIDE = 16
BORDER = torch.ones(SIDE, SIDE, dtype=torch.bool)
BORDER[4:-4, 4:-4] = False


def looking_at(where: torch.Tensor, classes: int = 3) -> nn.Sequential:
    """A convolution of one pixel and a head that reads the places in a mask alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIDE * SIDE, classes))
    with torch.no_grad():
        model[3].weight.view(classes, 4, SIDE, SIDE)[:, :, ~where] = 0
    return model


def images(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", ["gradient", "lrp"])
def test_a_model_that_looks_at_the_background_is_shown_to(method: str) -> None:
    background = initadvisor.attribute(looking_at(BORDER), images(), method=method, mask=BORDER)
    assert background.share == pytest.approx(1.0, abs=1e-6)
    assert background.by_layer == {"0": pytest.approx(1.0, abs=1e-6)}
    assert background.area == pytest.approx(0.75)
    thing = initadvisor.attribute(looking_at(~BORDER), images(), method=method, mask=BORDER)
    assert thing.share == pytest.approx(0.0, abs=1e-6)
    both = initadvisor.attribute(looking_at(torch.ones_like(BORDER)), images(), method=method, mask=BORDER)
    assert both.share == pytest.approx(both.area, abs=0.05)


def test_without_a_mask_the_border_is_measured() -> None:
    found = initadvisor.attribute(looking_at(BORDER), images(), border=0.25)
    assert found.region == "border"
    assert (found.area, found.share) == (pytest.approx(0.75), pytest.approx(1.0, abs=1e-6))


def test_a_trained_model_is_caught_using_a_mark_in_the_corner() -> None:
    """Training images carry the class in a corner pixel, and noise where the object should be."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 64, 2)
    )  # fmt: skip
    x, y = torch.randn(256, 1, SIDE, SIDE), torch.arange(256) % 2
    x[:, 0, :3, :3] += 6.0 * (2 * y[:, None, None] - 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    corner = torch.zeros(SIDE, SIDE)
    corner[:4, :4] = 1
    for method in ("gradient", "lrp"):
        found = initadvisor.attribute(model, (x[:32], y[:32]), method=method, mask=corner)
        assert found.area == pytest.approx(1 / 16)
        assert found.share > 5 * found.area


@pytest.mark.parametrize("method", ["gradient", "lrp"])
def test_relevance_adds_up_to_the_logit_where_there_are_no_biases(method: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 14 * 14, 3, bias=False)
    ).double()
    asked, maps = relevance(model, images().double(), torch.tensor([0, 1, 2, 0, 1]), method=method)
    logits = model(images().double()).detach()[range(5), asked].numpy()
    for found in maps:
        assert found.values.sum((1, 2)) == pytest.approx(logits, rel=1e-4), found.layer


def test_gradient_times_input_is_that() -> None:
    model = looking_at(BORDER)
    x = images().requires_grad_()
    logits = model(x)
    (gradient,) = torch.autograd.grad(logits.max(1).values.sum(), x)
    _, (first, *_) = relevance(model, images())
    assert first.values == pytest.approx((x * gradient).sum(1).detach().numpy(), abs=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = looking_at(BORDER).train()
    model[1].inplace = True
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initadvisor.attribute(model, images(), method="lrp")
    assert model.training
    assert model[1].inplace
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_maps_are_written_as_page_drawing_and_picture(tmp_path: Path) -> None:
    model = looking_at(BORDER)
    model = nn.Sequential()
    model.add_module("<script>", looking_at(BORDER)[0])
    for name, part in list(looking_at(BORDER).named_children())[1:]:
        model.add_module(name, part)
    found = initadvisor.attribute(model, images())
    page = found.save(tmp_path / "maps.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 2 * 4
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    ElementTree.fromstring(found.save(tmp_path / "map.svg").read_text())
    data = found.save(tmp_path / "map.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(zlib.decompress(data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8])) == SIDE * (1 + 3 * SIDE)
    with pytest.raises(UsageError, match="no ending"):
        found.save(tmp_path / "maps.pdf")
    with pytest.raises(UsageError, match="cannot write"):
        found.save(tmp_path / "no" / "maps.html")
    with pytest.raises(UsageError, match="no map of layer"):
        found.to_svg("elsewhere")


def test_the_picture_is_red_for_and_blue_against() -> None:
    from initadvisor.report.svg.heatmap import NEGATIVE, POSITIVE, ZERO, coarser, rgb

    colours = rgb(np.array([[-2.0, 0.0, 2.0]]))
    assert [tuple(c) for c in colours[0]] == [NEGATIVE, ZERO, POSITIVE]
    fine = np.random.default_rng(0).normal(size=(200, 130))
    assert max(coarser(fine).shape) <= 64
    assert coarser(np.ones((200, 130))) == pytest.approx(1.0)


class Odd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.erf(x).mean((2, 3))


def model_with_odd_layer() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Hardswish(), Odd())


@pytest.mark.parametrize(
    ("batch", "options", "said"),
    [
        (torch.randn(5, 8), {}, "batch of images"),
        (torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8), {}, "batch of images"),
        (images(0), {}, "batch of images"),
        ("photo.jpg", {}, "neither images"),
        ((images(), torch.tensor([9] * 5)), {}, "no class numbers below 3"),
        (images(), {"mask": torch.ones(3, 3)}, "does not fit 5 images"),
        (images(), {"mask": 7 * torch.ones(SIDE, SIDE)}, "does not fit"),
        (images(), {"border": 0.7}, "leaves no image"),
        (images(), {"layers": ["nothing"]}, "no layer 'nothing'"),
        (images(), {"layers": ["3"]}, "no image at its output"),
        (images(), {"method": "guess"}, "no method"),
    ],
)
def test_what_cannot_be_looked_at_is_said(batch, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        initadvisor.attribute(looking_at(BORDER), batch, **options)


def test_a_layer_without_a_rule_sends_to_the_gradient() -> None:
    with pytest.raises(UsageError, match=r"no lrp relevance.*gradient"):
        initadvisor.attribute(model_with_odd_layer(), images(), method="lrp")
    assert initadvisor.attribute(model_with_odd_layer(), images()).share > 0
