"""Masks in front of a softmax."""

from __future__ import annotations

from dataclasses import replace

from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal


@forward("tril", "triu", "trilu", "masked_fill", "where", "masked_scatter")
def masked(call: Call) -> list[Signal | None]:
    """A mask in front of a softmax leaves the logits that are seen as they are."""
    slot = 1 if call.op == "where" else 0
    s = call.known(slot)
    if call.op == "where" and (s is None or s.constant is not None):
        other = call.known(2)
        s = other if other is not None else s
    if s is None:
        return [None]
    if s.table or s.constant is not None:
        return [replace(s, visible=0.5 if call.op in ("tril", "triu", "trilu") else s.visible, table=True)]
    mask = call.known(0 if call.op == "where" else 1)
    visible = 0.5 if mask is None or not mask.table or call.op in ("tril", "triu", "trilu") else mask.visible
    return [s.fresh(visible=min(visible, s.visible))]


@backward("masked_fill", "where", "tril", "triu", "trilu")
def masked_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    made: list[Gradient | None] = [None] * len(call.inputs)
    slot = 1 if call.op == "where" else 0
    if call.op == "where":
        first = call.known(1)
        slot = 2 if first is None or first.constant is not None else 1
    if slot < len(made):
        made[slot] = g
    return made
