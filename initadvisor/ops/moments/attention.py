"""Attention as one operator: logits, softmax, weighted values, and the way back through all three."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from initadvisor.ops.moments.axes import FEATURES, Axis, axis, count, dominant, size_of
from initadvisor.ops.moments.concentration import causal_concentration, concentration
from initadvisor.ops.moments.products import same_matrix
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.weighted import Fan, collected, project, summed


def head_axes(s: Signal) -> tuple[Axis, Axis]:
    """The token and the head-width axis of (..., tokens, width)."""
    return s.axes[-2] if len(s.axes) > 1 else (), s.axes[-1] if s.axes else ()


def as_positions(s: Signal) -> Signal:
    """Statistics with the token axis read as positions, whatever role it carries."""
    tokens = head_axes(s)[0]
    if dominant(tokens) == FEATURES and size_of(tokens) > 1:
        return replace(s, positions=s.features)
    return s


def width_of(s: Signal) -> int:
    """The number of elements of the last axis."""
    return max(count(s.axes[-1:]).total, 1)


@dataclass(frozen=True, slots=True)
class Mixing:
    """How softmax attention mixes n values.

    own: n E[a^2], the weight of a token's own part (1 for uniform weights over all n, more where logits spread or a
    causal mask hides tokens). both: n E[a a'] for two queries and one key. logits: variance over the keys of a row.
    """

    n: int
    width: int
    scale: float
    own: float
    both: float
    logits: float


def mixing(q: Signal, k: Signal, scale: float | None, *, causal: bool) -> Mixing:
    """The statistics of the weights from those of queries and keys."""
    n = max(size_of(head_axes(k)[0]), 1)
    width = width_of(q)
    factor = 1.0 / math.sqrt(width) if scale is None else float(scale)
    query, key = as_positions(q), as_positions(k)
    apart = max(key.q - key.positions, 0.0)
    # the part of a logit that all keys of a row share does not move the softmax
    logits = factor * factor * width * query.q * apart
    shared = factor * factor * width * max(query.positions, 0.0) * apart
    own = causal_concentration(logits, n) if causal else concentration(logits, n)
    # two rows that see i < j tokens share the weight 1/j: twice the uniform value on average
    both = min(math.exp(min(shared, 50.0)), own) * (2.0 if causal and n > 1 else 1.0)
    return Mixing(n, width, factor, own, min(both, float(n)), logits)


def mixed(v: Signal, m: Mixing) -> Signal:
    """Weighted values: what tokens have in common stays, the rest shrinks to its share own / n."""
    value = as_positions(v)
    local = max(value.q - value.positions, 0.0)
    within = same_matrix(v.axes[:-2], head_axes(v)[0])
    return v.fresh(
        q=value.positions + local * m.own / m.n,
        positions=value.positions + within * local * m.both / m.n,
        samples=value.samples,
        sources={},
    )


def mixed_back(
    g: Gradient, q: Signal, k: Signal, v: Signal, m: Mixing, rows: int
) -> tuple[Gradient, Gradient, Gradient]:
    """Gradients of queries, keys and values from that of the result; `rows` queries."""
    query, key, value = as_positions(q), as_positions(k), as_positions(v)
    ratio = rows / m.n
    within = same_matrix(v.axes[:-2], head_axes(v)[0])
    near = ratio * ((g.q - g.positions) + rows * g.positions) / m.n
    to_value = Gradient(
        ratio * (m.own * g.q + (rows - 1) * m.both * g.positions) / m.n,
        within * near + (1.0 - within) * ratio * ratio * g.positions,
        ratio * ratio * g.samples,
    )
    # d logit = a (d a - sum a d a), with d a a sum over the head width of gradient times value
    apart = max(value.q - value.positions, 0.0)
    spread = m.own / m.n**2 * m.width * apart * max(1.0 - m.own / m.n, 0.0)
    logit = spread * g.q
    logit_both = min(m.both / m.own, 1.0) * spread * g.positions
    key_apart = max(key.q - key.positions, 0.0)
    factor = m.scale * m.scale
    to_query = Gradient(factor * m.n * logit * key_apart, factor * m.n * logit_both * key_apart, 0.0)
    to_key_q = factor * (rows * logit * query.q + rows * (rows - 1) * logit_both * query.positions)
    # the gradients of all keys of a row sum to zero
    to_key = Gradient(to_key_q, -to_key_q / max(m.n - 1, 1), 0.0)
    return to_query, to_key, to_value


def _heads(s: Signal, heads: int) -> Signal:
    """(..., tokens, heads x width) as (..., heads, tokens, width)."""
    features = count(s.axes[-1:]).total
    tokens = s.axes[-2] if len(s.axes) > 1 else ()
    return s.fresh(axes=(*s.axes[:-2], axis(FEATURES, heads), tokens, axis(FEATURES, max(features // heads, 1))))


_ONE_OPERATOR = ("scaled_dot_product_attention", "fused_attention", "grouped_query_attention")


@forward(*_ONE_OPERATOR)
def attention(call: Call) -> list[Signal | None]:
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    q, k, v = call.known(0), call.known(1), call.known(2)
    if q is None or k is None or v is None:
        return [None, *rest]
    heads = call.attr("q_num_heads", call.attr("num_heads"))
    if heads and len(q.axes) == 3:
        kv_heads = int(call.attr("kv_num_heads", heads))
        q, k, v = _heads(q, int(heads)), _heads(k, kv_heads), _heads(v, kv_heads)
    if any(len(s.axes) != 4 for s in (q, k, v)) and call.op != _ONE_OPERATOR[0]:
        return [None, *rest]
    m = mixing(q, k, call.attrs.get("scale"), causal=_causal(call))
    call.memory["mixing"] = m
    call.memory["logits"] = m.logits
    call.memory["qkv"] = (q, k, v)
    made = mixed(v, m)
    shape = call.output_shapes[0]
    axes = (*q.axes[:-1], v.axes[-1])
    if shape is not None and len(shape) != len(axes):
        axes = call.inputs[0].axes if call.inputs[0] is not None else axes
    return [replace(made, axes=axes), *rest]


def _causal(call: Call) -> bool:
    """Whether tokens see only those before them: by an attribute, or by a mask of all queries by all keys."""
    if call.op == "grouped_query_attention" or call.attr("is_causal", call.attr("unidirectional", False)):
        return True
    if call.op != _ONE_OPERATOR[0] or len(call.present) <= 3 or not call.present[3]:
        return False
    shape = call.input_shapes[3]
    return shape is not None and len(shape) >= 2 and shape[-1] == shape[-2] and shape[-1] > 1


@backward(*_ONE_OPERATOR)
def attention_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    made: list[Gradient | None] = [None] * len(call.inputs)
    g, m = gradients[0], call.memory.get("mixing")
    if g is None or m is None:
        return made
    q, k, v = call.memory["qkv"]
    rows = max(size_of(head_axes(q)[0]), 1)
    to_q, to_k, to_v = mixed_back(g, q, k, v, m, rows)
    shared = count(q.axes[:-2]).total / max(count(k.axes[:-2]).total, 1)
    made[:3] = [to_q, to_k.scaled(max(shared, 1.0)), to_v.scaled(max(shared, 1.0))]
    return made


_QUERY, _KEY, _VALUE, _IN, _IN_BIAS, _OUT, _OUT_BIAS = 0, 1, 2, 3, 4, 7, 8


@forward("multi_head_attention")
def multi_head_attention(call: Call) -> list[Signal | None]:
    """Projections, attention and output projection in one call; inputs are (tokens, samples, width)."""
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    xs = [call.known(slot) for slot in (_QUERY, _KEY, _VALUE)]
    out_weight = call.known(_OUT)
    weights = [call.known(_IN)] * 3 if call.known(_IN) is not None else [call.known(s) for s in (11, 12, 13)]
    if any(x is None for x in xs) or any(w is None for w in weights) or out_weight is None:
        return [None, *rest]
    width, heads = size_of(out_weight.axes[1]), int(call.attr("num_heads", 1))
    bias = call.known(_IN_BIAS)
    projected = []
    for x, w in zip(xs, weights, strict=True):
        assert x is not None
        assert w is not None
        fan = Fan(float(size_of(x.axes[-1])))
        y = project(x, w, bias, fan, (*x.axes[:-1], axis(FEATURES, width)))
        # tokens first in this call: bring them in front of the width
        axes = (*y.axes[1:2], axis(FEATURES, heads), y.axes[0], axis(FEATURES, width // heads))
        projected.append(replace(y, axes=axes))
    q, k, v = projected
    m = mixing(q, k, None, causal=bool(call.attr("is_causal", False)))
    between = mixed(v, m)
    first = xs[0]
    assert first is not None
    joined = replace(between, axes=(*first.axes[:-1], axis(FEATURES, width)))
    out = project(joined, out_weight, call.known(_OUT_BIAS), Fan(float(width)), joined.axes)
    call.memory.update(
        projected=projected, mixing=m, logits=m.logits, joined=joined, xs=xs, weights=weights, width=width
    )
    return [out, *rest]


@backward("multi_head_attention")
def multi_head_attention_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    made: list[Gradient | None] = [None] * len(call.inputs)
    g, out = gradients[0], call.outputs[0] if call.outputs else None
    if g is None or out is None or "mixing" not in call.memory:
        return made
    width, m, joined = call.memory["width"], call.memory["mixing"], call.memory["joined"]
    out_weight = call.known(_OUT)
    assert out_weight is not None
    places = out.counts().positions * out.counts().samples
    fan = Fan(float(width))
    made[_OUT] = Gradient(collected(g, joined, places, call.batch, fan))
    if call.known(_OUT_BIAS) is not None:
        made[_OUT_BIAS] = Gradient(summed(g, out))
    inner = g.scaled(size_of(out.axes[-1]) * out_weight.q)
    q, k, v = call.memory["projected"]
    rows = max(size_of(head_axes(q)[0]), 1)
    sums = []
    for place, (x, w, d) in enumerate(
        zip(call.memory["xs"], call.memory["weights"], mixed_back(inner, q, k, v, m, rows), strict=True)
    ):
        made[place] = d.scaled(width * w.q)
        n = x.counts()
        sums.append(collected(d, x, n.positions * n.samples, call.batch, Fan(1.0)))
    if call.known(_IN) is not None:
        made[_IN] = Gradient(sum(sums) / 3.0)
        call.memory["blocks"] = {_IN: tuple(sums)}
    else:
        for slot, value in zip((11, 12, 13), sums, strict=True):
            made[slot] = Gradient(value)
    return made
