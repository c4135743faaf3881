"""Shapes of operators with several results: recurrent layers and packed attention (see `shape_rules`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

Results = tuple[torch.Tensor | None, ...] | None
Rule = Callable[[Sequence[Any], dict[str, Any]], Results]


def _empty(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.empty(tuple(shape), dtype=like.dtype, device="meta")


def _recurrent(items: Sequence[Any], attrs: dict[str, Any]) -> Results:
    """(output, hidden) or (output, hidden, cell) of unpacked input of three axes."""
    x, states = items[0], 2 if attrs["op"] == "lstm" else 1
    weights = items[1 + states :]
    layers, both = attrs.get("num_layers"), 2 if attrs.get("bidirectional") else 1
    hidden = items[1]
    if x.dim() != 3 or hidden.dim() != 3 or not isinstance(layers, int) or len(weights) < 2:
        return None
    time, batch = (1, 0) if attrs.get("batch_first") else (0, 1)
    if x.shape[-1] != weights[0].shape[1] or hidden.shape[:2] != (layers * both, x.shape[batch]):
        return None
    width = hidden.shape[2]
    shape = [0, 0, both * width]
    shape[time], shape[batch] = x.shape[time], x.shape[batch]
    return (_empty(shape, x), *(_empty(state.shape, x) for state in items[1 : 1 + states]))


def _packed_attention(items: Sequence[Any], attrs: dict[str, Any]) -> Results:
    """(output, weights or None) of `multi_head_attention_forward` on batched, sequence-first input."""
    query, key, value, projection = items[:4]
    width, heads = query.shape[-1], attrs.get("num_heads")
    if query.dim() != 3 or projection is None or projection.shape != (3 * width, width) or len(items) > 9:
        return None
    if key.shape != value.shape or key.shape[1:] != query.shape[1:] or attrs.get("embed_dim_to_check") != width:
        return None
    if not isinstance(heads, int) or width % heads or any(i is not None for i in items[5:7]) or attrs.get("is_causal"):
        return None
    weights = None
    if attrs.get("need_weights", True):
        maps = (query.shape[0], key.shape[0] + bool(attrs.get("add_zero_attn")))
        average = attrs.get("average_attn_weights", True)
        weights = _empty((query.shape[1], *(() if average else (heads,)), *maps), query)
    return _empty(query.shape, query), weights


RULES: dict[str, Rule] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
    "multi_head_attention": _packed_attention,
}
"""Canonical operator -> rule that gives the results themselves, or None where torch must decide."""
