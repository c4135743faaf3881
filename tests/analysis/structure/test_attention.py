"""Queries, keys and values, however they are projected and split."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from graphs import by_name, recorded, spans
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS = 24, 4
Tensor = torch.Tensor


def _heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def _fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.transpose(-2, -1) * 0.4, -1) @ v


def _scaled_query(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("bhnd,bhmd->bhnm", q * 0.4, k)
    return torch.einsum("bhnm,bhmd->bhnd", scores.float().softmax(-1).to(q.dtype), v)


def _rotated(x: Tensor) -> Tensor:
    angles = torch.outer(torch.arange(x.shape[-2]).float(), torch.ones(x.shape[-1]))
    a, b = x.chunk(2, -1)
    return x * angles.cos() + torch.cat((-b, a), -1) * angles.sin()


ATTENTIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "one operator": _fused,
    "softmax between products": _written,
    "einsum, scaled query, cast": _scaled_query,
    "rotary": lambda q, k, v: _fused(_rotated(q), _rotated(k), v),
    "rotary, written out": lambda q, k, v: _written(_rotated(q), _rotated(k), v),
    "masked": lambda q, k, v: (
        (q @ k.mT).masked_fill(torch.ones(q.shape[2], k.shape[2]).tril() == 0, -1e9).softmax(-1) @ v
    ),
}
SPLITS: dict[str, Callable[[Tensor], tuple[Tensor, ...]]] = {
    "chunk": lambda y: tuple(_heads(t) for t in y.chunk(3, -1)),
    "split": lambda y: tuple(_heads(t) for t in y.split(WIDTH, -1)),
    "slices": lambda y: tuple(_heads(y[..., i * WIDTH : (i + 1) * WIDTH]) for i in range(3)),
    "reshape, permute, unbind": lambda y: (
        y.reshape(*y.shape[:2], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
    ),
    "reshape, permute, index": lambda y: tuple(
        y.reshape(*y.shape[:2], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)[i] for i in range(3)
    ),
}


class Block(nn.Module):
    """Attention over one fused projection."""

    def __init__(self, split: Callable[[Tensor], tuple[Tensor, ...]], attend: Callable[..., Tensor]) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.split, self.attend = split, attend

    def forward(self, x: Tensor) -> Tensor:
        y = self.attend(*self.split(self.qkv(self.norm(x))))
        return x + self.proj(y.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("attend", ATTENTIONS)
def test_a_fused_projection_is_split_into_its_blocks(split: str, attend: str) -> None:
    layers = by_name(recorded(Block(SPLITS[split], ATTENTIONS[attend]), torch.zeros(2, 5, WIDTH)))
    assert layers["qkv"].role == "qkv"
    assert spans(layers["qkv"]) == [("q", 0, 24), ("k", 24, 48), ("v", 48, 72)]
    assert (layers["qkv"].fan_in, layers["qkv"].fan_out) == (WIDTH, WIDTH)
    assert (layers["proj"].role, layers["proj"].residual_role) == ("attention_out", "branch_end")
    assert layers["qkv"].norm_before == "norm"


def test_heads_that_are_interleaved_give_one_block_each() -> None:
    def interleaved(y: Tensor) -> tuple[Tensor, ...]:
        return tuple(y.unflatten(-1, (HEADS, 3 * WIDTH // HEADS)).transpose(1, 2).chunk(3, -1))

    qkv = by_name(recorded(Block(interleaved, _fused), torch.zeros(2, 5, WIDTH)))["qkv"]
    assert spans(qkv)[:4] == [("q", 0, 6), ("k", 6, 12), ("v", 12, 18), ("q", 18, 24)]
    assert {b.fan_out for b in qkv.blocks} == {WIDTH}


@pytest.mark.parametrize("attend", ATTENTIONS)
def test_separate_projections_and_grouped_queries(attend: str) -> None:
    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 12), nn.Linear(WIDTH, 12)
            self.o = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            q = _heads(self.q(x))
            k, v = (t.unflatten(-1, (2, 6)).transpose(1, 2).repeat_interleave(2, 1) for t in (self.k(x), self.v(x)))
            return x + self.o(ATTENTIONS[attend](q, k, v).transpose(1, 2).flatten(2))

    layers = by_name(recorded(Grouped(), torch.zeros(2, 5, WIDTH)))
    assert {n: layers[n].role for n in "qkvo"} == {"q": "q", "k": "k", "v": "v", "o": "attention_out"}
    assert not layers["k"].blocks


def test_cross_attention_with_a_fused_key_and_value() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.kv, self.o = nn.Linear(WIDTH, WIDTH), nn.Linear(16, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            k, v = self.kv(memory).chunk(2, -1)
            return x + self.o(_fused(_heads(self.q(x)), _heads(k), _heads(v)).transpose(1, 2).flatten(2))

    layers = by_name(recorded(Cross(), torch.zeros(2, 5, WIDTH), torch.zeros(2, 7, 16)))
    assert (layers["q"].role, layers["kv"].role) == ("q", "kv")
    assert spans(layers["kv"]) == [("k", 0, 24), ("v", 24, 48)]


def test_query_and_key_norms_are_between() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.o = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.qn, self.kn = nn.RMSNorm(6), nn.RMSNorm(6)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (_heads(t) for t in self.qkv(x).chunk(3, -1))
            return x + self.o(_fused(self.qn(q), self.kn(k), v).transpose(1, 2).flatten(2))

    qkv = by_name(recorded(Normed(), torch.zeros(2, 5, WIDTH)))["qkv"]
    assert spans(qkv) == [("q", 0, 24), ("k", 24, 48), ("v", 48, 72)]
    assert not qkv.scale_invariant  # the values are not normalized


@pytest.mark.parametrize("cross", [False, True])
def test_multi_head_attention_of_torch(cross: bool) -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.norm = nn.LayerNorm(WIDTH)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            y = self.norm(x)
            source = memory if cross else y
            return x + self.attention(y, source, source, need_weights=False)[0]

    layers = by_name(recorded(Packed(), torch.zeros(2, 5, WIDTH), torch.zeros(2, 7, WIDTH)))
    packed, out = layers["attention.in_proj_weight"], layers["attention.out_proj"]
    assert (packed.role, packed.bias, packed.norm_before) == ("qkv", "attention.in_proj_bias", "norm")
    assert spans(packed) == [("q", 0, 24), ("k", 24, 48), ("v", 48, 72)]
    assert (packed.fan_in, packed.fan_out) == (WIDTH, WIDTH)
    assert (out.role, out.residual_role, out.bias) == ("attention_out", "branch_end", "attention.out_proj.bias")


def test_a_table_added_to_the_scores_is_a_relative_position() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.table = nn.Linear(WIDTH, 3 * WIDTH), nn.Parameter(torch.zeros(9, HEADS))
            self.buckets = nn.Embedding(9, HEADS)
            self.register_buffer("index", torch.zeros(5, 5, dtype=torch.long))

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (_heads(t) for t in self.qkv(x).chunk(3, -1))
            bias = self.table[self.index].permute(2, 0, 1)
            bucketed = self.buckets(self.index).permute(2, 0, 1)
            return torch.softmax(q @ k.mT + bias + bucketed, -1) @ v

    layers = by_name(recorded(Biased(), torch.zeros(2, 5, WIDTH)))
    assert (layers["table"].kind, layers["table"].role) == ("table", "relative_position")
    assert (layers["buckets"].kind, layers["buckets"].role) == ("embedding", "relative_position")
