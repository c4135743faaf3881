"""Entropy of attention weights, where attention is computed by torch's own functions or a softmax over keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SAMPLES, ROWS = 2, 64
"""Samples of the batch and query rows that are looked at: the weights are made once more for these."""


class AttentionWatch(TorchFunctionMode):  # type: ignore[misc]
    """Records (module path, entropy over ln keys) of every attention that runs inside; scalars stay on the device.

    place: gives the path of the module that runs.
    """

    def __init__(self, place: Callable[[bool], str]) -> None:
        super().__init__()
        self.entropies: list[tuple[str, torch.Tensor]] = []
        self._place = place

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out the call, and look at its weights where it is attention."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        look = _LOOKS.get(func)
        if look is not None:
            try:
                with torch.no_grad():
                    entropy = look(args, kwargs, result)
            except (RuntimeError, TypeError, IndexError, ValueError, KeyError):
                entropy = None  # called in a form that is not followed: nothing is said about it
            if entropy is not None:
                self.entropies.append((self._place(func is F.multi_head_attention_forward), entropy))
        return result


def _scaled(args: Any, kwargs: Any, result: Any) -> torch.Tensor | None:
    named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | kwargs
    query, key, mask = named["query"][:SAMPLES], named["key"][:SAMPLES], named.get("attn_mask")
    if query.shape[-3] != key.shape[-3]:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scale = named.get("scale") or 1 / math.sqrt(query.shape[-1])
    logits = (query.float() @ key.float().transpose(-1, -2)) * scale
    if mask is not None:
        mask = mask[:SAMPLES] if mask.ndim == logits.ndim and mask.shape[0] > 1 else mask
        logits = logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask.float()
    if named.get("is_causal"):
        ahead = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
        logits = logits.masked_fill(ahead, -math.inf)
    return _entropy(logits.softmax(-1))


def _multi_head(args: Any, kwargs: Any, result: Any) -> torch.Tensor | None:
    names = ("query", "key", "value", "embed_dim", "num_heads", "in_proj_weight", "in_proj_bias")
    named = dict(zip(names, args, strict=False)) | kwargs
    query, key, weight, bias = named["query"], named["key"], named["in_proj_weight"], named["in_proj_bias"]
    if weight is None or query.ndim != 3 or kwargs.get("attn_mask") is not None:
        return None
    width, heads = named["embed_dim"], named["num_heads"]
    biases = (None, None) if bias is None else (bias[:width], bias[width : 2 * width])
    q = F.linear(query[:, :SAMPLES], weight[:width], biases[0])
    k = F.linear(key[:, :SAMPLES], weight[width : 2 * width], biases[1])
    q, k = (x.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3).float() for x in (q[:: max(1, len(q) // ROWS)], k))
    return _entropy((q @ k.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1))


def _softmax(args: Any, kwargs: Any, result: Any) -> torch.Tensor | None:
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if result.ndim != 4 or axis not in (-1, 3) or result.shape[-1] < 4:
        return None  # not weights over keys: (batch, heads, queries, keys)
    return _entropy(result[:SAMPLES, :, :: max(1, result.shape[2] // ROWS)].float())


def _entropy(weights: torch.Tensor) -> torch.Tensor:
    """Mean over rows of the entropy over the ln of the keys that have any weight; rows with one key are left out."""
    keys = (weights > 0).sum(-1)
    entropy = -(weights * weights.clamp_min(torch.finfo(torch.float32).tiny).log()).sum(-1)
    counted = keys > 1
    share = entropy / keys.clamp_min(2).float().log()
    return torch.where(counted, share, torch.zeros_like(share)).sum() / counted.sum()


_LOOKS: dict[Any, Callable[[Any, Any, Any], torch.Tensor | None]] = {
    F.scaled_dot_product_attention: _scaled,
    F.multi_head_attention_forward: _multi_head,
    F.softmax: _softmax,
    torch.softmax: _softmax,
    torch.Tensor.softmax: _softmax,
}
