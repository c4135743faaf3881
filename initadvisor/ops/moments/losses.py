"""Losses: where a gradient begins when the graph ends in one."""

from __future__ import annotations

import math

from initadvisor.ops.moments.axes import plain
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal, independent

_LOSSES = ("cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy_with_logits")


def residual_of_softmax(variance: float, classes: int) -> float:
    """E[(softmax - one-hot)^2] over independent Gaussian logits and a label drawn at random."""
    classes = max(classes, 2)
    spread = min(math.expm1(min(variance, 50.0)), classes) / classes**2
    return (1.0 / classes) * (1.0 - 1.0 / classes) + spread


@forward(*_LOSSES)
def loss(call: Call) -> list[Signal | None]:
    """The mean loss of fresh outputs, the same up to small fluctuations in every run."""
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None] * len(call.output_shapes)
    classes = _classes(call, x)
    if call.op == "cross_entropy":
        value = math.log(classes) + 0.5 * (classes - 1) / classes * x.variance
    elif call.op == "nll_loss":
        value = -x.mean
    elif call.op == "mse_loss":
        value = x.q + _target(call).q - 2.0 * x.mean * _target(call).mean
    else:
        value = math.log(2.0) + x.q / 8.0
    call.memory["averaged"] = _averaged(call, x, classes)
    return [independent(value, value * value, plain(shape)), *[None] * (len(call.output_shapes) - 1)]


def _target(call: Call) -> Signal:
    return call.known(1) or independent(0.0, 0.0, ())


def _classes(call: Call, x: Signal) -> int:
    shape = call.input_shapes[0] or ()
    return max(shape[1] if len(shape) > 1 else x.counts().features, 2)


def _averaged(call: Call, x: Signal, classes: int) -> int:
    """The number of terms that the loss is a mean of; 1 for a sum or no reduction."""
    if call.attr("reduction", "mean") != "mean":
        return 1
    total = x.counts().total
    return max(total // classes, 1) if call.op in ("cross_entropy", "nll_loss") else total


@backward(*_LOSSES)
def loss_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, x = gradients[0], call.known(0)
    rest: list[Gradient | None] = [None] * (len(call.inputs) - 1)
    if g is None or x is None:
        return [None, *rest]
    classes = _classes(call, x)
    if call.op == "cross_entropy":
        square = residual_of_softmax(x.variance, classes)
    elif call.op == "nll_loss":
        square = 1.0 / classes
    elif call.op == "mse_loss":
        target = _target(call)
        square = 4.0 * max(x.q + target.q - 2.0 * x.mean * target.mean, 0.0)
    else:
        square = 0.25 + x.variance / 16.0  # (sigmoid - label)^2 for fresh logits
    return [Gradient(g.q * square / call.memory["averaged"] ** 2), *rest]
