"""The shape rules agree with torch's own meta kernels, and stay silent where the arguments do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.frontends.torch_module.forward import record
from initadvisor.frontends.torch_module.shape_rules import told
from initadvisor.frontends.torch_module.trees import leaves

FLOAT = torch.float32


def t(*shape: int, dtype: torch.dtype = FLOAT) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def ids(*shape: int) -> torch.Tensor:
    return t(*shape, dtype=torch.int64)


CALLS: dict[str, Callable[[], Any]] = {
    "linear": lambda: F.linear(t(2, 5, 3), t(4, 3), t(4)),
    "linear without batch": lambda: F.linear(t(3), t(4, 3)),
    "matmul": lambda: t(7, 1, 2, 3) @ t(5, 3, 4),
    "mm": lambda: torch.mm(t(2, 3), t(3, 4)),
    "matrix vector": lambda: t(2, 3) @ t(3),
    "addmm": lambda: torch.addmm(t(4), t(2, 3), t(3, 4)),
    "baddbmm": lambda: torch.baddbmm(t(2, 2, 4), t(2, 2, 3), t(2, 3, 4)),
    "conv": lambda: F.conv2d(t(2, 4, 9, 8), t(6, 2, 3, 2), t(6), stride=(2, 1), padding=(1, 0), dilation=2, groups=2),
    "conv same": lambda: F.conv1d(t(2, 4, 9), t(6, 4, 3), padding="same"),
    "conv unbatched": lambda: F.conv2d(t(4, 9, 8), t(6, 4, 3, 2)),
    "conv 3d": lambda: F.conv3d(t(1, 2, 5, 6, 7), t(3, 2, 1, 2, 3), stride=2),
    "transposed": lambda: F.conv_transpose2d(
        t(2, 4, 5, 6), t(4, 3, 4, 3), stride=2, padding=1, output_padding=1, groups=2
    ),
    "max pool": lambda: F.max_pool2d(t(2, 3, 9, 8), 3, 2, 1),
    "max pool ceil": lambda: F.max_pool2d(t(2, 3, 9, 8), 2, ceil_mode=True),
    "max pool indices": lambda: F.max_pool2d(t(2, 3, 8, 8), 2, return_indices=True),
    "avg pool": lambda: F.avg_pool1d(t(2, 3, 9), 4, 3),
    "adaptive": lambda: F.adaptive_avg_pool2d(t(2, 3, 9, 8), (None, 4)),
    "adaptive 1": lambda: F.adaptive_avg_pool3d(t(2, 3, 9, 8, 7), 1),
    "batch norm": lambda: F.batch_norm(t(2, 3, 4), t(3), t(3), t(3), t(3), training=True),
    "layer norm": lambda: F.layer_norm(t(2, 3, 4), (3, 4), t(3, 4)),
    "group norm": lambda: F.group_norm(t(2, 4, 5), 2, t(4), t(4)),
    "rms norm": lambda: F.rms_norm(t(2, 3), (3,)),
    "instance norm": lambda: F.instance_norm(t(2, 3, 4)),
    "softmax": lambda: F.softmax(t(2, 3), -1, dtype=torch.float64),
    "log softmax": lambda: t(2, 3).log_softmax(0),
    "attention": lambda: F.scaled_dot_product_attention(t(2, 3, 4, 5), t(2, 3, 6, 5), t(2, 3, 6, 7)),
    "grouped attention": lambda: F.scaled_dot_product_attention(
        t(2, 4, 4, 5), t(2, 2, 6, 5), t(2, 2, 6, 5), enable_gqa=True
    ),
    "embedding": lambda: F.embedding(ids(2, 3), t(9, 4)),
    "add": lambda: t(2, 1, 3) + t(4, 1),
    "add number": lambda: ids(2, 3) + 1.5,
    "promote": lambda: t(2, dtype=torch.float16) * t(2, dtype=torch.bfloat16),
    "zero-dimensional": lambda: t(2, dtype=torch.float16) * t(dtype=torch.float64),
    "divide integers": lambda: ids(3) / ids(3),
    "floor": lambda: torch.div(ids(3), 2, rounding_mode="floor"),
    "power": lambda: 2 ** t(2, 3),
    "compare": lambda: t(2, 3) > t(3),
    "where": lambda: torch.where(t(2, 3) > 0, t(3), 0.0),
    "masked fill": lambda: t(2, 3).masked_fill(t(3) > 0, -1.0),
    "mean": lambda: t(2, 3, 4).mean((0, -1), keepdim=True),
    "sum": lambda: t(2, 3).sum(),
    "sum of a type": lambda: t(2, 3).sum(0, dtype=torch.float64),
    "sum of integers": lambda: ids(2, 3).sum(0),
    "amax": lambda: t(2, 3).amax(1),
    "cat": lambda: torch.cat([t(2, 3), t(2, 5)], -1),
    "cat of types": lambda: torch.cat([t(2, 3), t(2, 5, dtype=torch.float64)], 1),
    "stack": lambda: torch.stack([t(2, 3), t(2, 3)], 1),
    "inplace": lambda: t(2, 3).add_(1).mul_(t(3)).relu_(),
    "inplace keyword": lambda: F.leaky_relu(t(2, 3), inplace=True),
    "gelu": lambda: F.gelu(t(2, 3), approximate="tanh"),
    "absolute of integers": lambda: ids(2).abs().clamp(0, 1).neg(),
    "square root of integers": lambda: ids(2).sqrt(),
    "dropout": lambda: F.dropout(t(2, 3), 0.5, training=True),
    "dropout off": lambda: F.dropout(t(2, 3), 0.5, training=False) + 1,
    "glu": lambda: F.glu(t(2, 4)),
    "roll": lambda: t(2, 3).roll((1, 1), (0, 1)),
    "lstm": lambda: nn.LSTM(3, 4, 2, bidirectional=True, device="meta")(t(5, 2, 3)),
    "projected lstm": lambda: nn.LSTM(3, 4, proj_size=2, batch_first=True, device="meta")(t(2, 5, 3)),
    "gru": lambda: nn.GRU(3, 4, batch_first=True, device="meta")(t(2, 5, 3)),
    "unbatched rnn": lambda: nn.RNN(3, 4, device="meta")(t(5, 3)),
    "multi-head": lambda: nn.MultiheadAttention(4, 2, device="meta")(t(5, 2, 4), t(6, 2, 4), t(6, 2, 4)),
    "multi-head weights": lambda: nn.MultiheadAttention(4, 2, batch_first=True, add_zero_attn=True, device="meta")(
        t(5, 2, 4), t(5, 6, 4), t(5, 6, 4), average_attn_weights=False
    ),
    "weight norm": lambda: torch._weight_norm(t(4, 3), t(4, 1)),
}


class Calling(nn.Module):
    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self) -> Any:
        return self.function()


@pytest.mark.parametrize("name", CALLS)
def test_recorded_shape_is_the_one_that_torch_gives(name: str) -> None:
    expected = [(tuple(r.shape), str(r.dtype)[6:]) for r in leaves(CALLS[name]())]
    graph = record(Calling(CALLS[name]), (), {})
    assert [(graph.values[v].shape, graph.values[v].dtype) for v in graph.outputs] == expected


@pytest.mark.parametrize(
    ("op", "items", "attrs"),
    [
        ("linear", [t(2, 5), t(4, 3)], {}),
        ("matmul", [t(2, 3), t(4, 5)], {}),
        ("conv", [t(2, 3, 8, 8), t(4, 1, 3, 3)], {}),
        ("conv", [t(2, 3, 2, 2), t(4, 3, 5, 5)], {}),
        ("layer_norm", [t(2, 5)], {"normalized_shape": (4,)}),
        ("batch_norm", [t(2, 5, 3), t(4)], {}),
        ("batch_norm", [t(1, 5), t(5)], {"training": True}),
        ("add", [t(2, 3), t(4)], {}),
        ("cat", [t(2, 3), t(3, 3)], {"dim": 1}),
        ("embedding", [t(2, 3), t(9, 4)], {}),
        ("scaled_dot_product_attention", [t(2, 3, 4), t(2, 3, 5), t(2, 3, 4)], {}),
    ],
)
def test_arguments_that_do_not_fit_are_left_to_torch(op: str, items: list[Any], attrs: dict[str, Any]) -> None:
    assert told(op, items, attrs) is None


sizes = st.integers(1, 6)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_convolutions_of_any_geometry(data: st.DataObject, rank: int) -> None:
    draw = data.draw
    groups, out, inside = draw(st.integers(1, 3)), draw(sizes), draw(sizes)
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    kernel, stride, padding, dilation = each(1, 4), each(1, 3), each(0, 2), each(1, 2)
    x = t(draw(sizes), inside * groups, *each(1, 12))
    weight = t(out * groups, inside, *kernel)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    convolution = getattr(F, f"conv{rank}d")
    try:
        expected = tuple(convolution(x, weight, None, **attrs).shape)
    except RuntimeError:
        expected = None
    found = told("conv", [x, weight], attrs)
    assert (found[0] if found else None) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([1, 1, 2, 3]), max_size=4), st.lists(st.sampled_from([1, 1, 2, 3]), max_size=4))
def test_broadcasting(left: list[int], right: list[int]) -> None:
    try:
        expected = tuple((t(*left) + t(*right)).shape)
    except RuntimeError:
        expected = None
    found = told("add", [t(*left), t(*right)], {})
    assert (found[0] if found else None) == expected


@pytest.mark.parametrize("inside", [16, 7])
def test_grouped_products_need_no_alignment(inside: int) -> None:
    class Experts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(3, inside, 5))

        def forward(self, x: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
            return F.grouped_mm(x, self.weight, offs=offsets)

    offsets = torch.tensor([2, 4, 6], dtype=torch.int32)
    graph = load(Experts(), LoadOptions(example=(torch.randn(6, inside), offsets)))
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    assert graph.values[graph.outputs[0]].shape == (6, 5)
