"""If, Loop and Scan: bodies are programs that run on what they read from outside."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements, number


def _around(call: Call, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The node's own inputs, and what its bodies read from outside by name."""
    own, outer = inputs[: call.inputs], inputs[call.inputs :]
    return own, dict(zip(call.captured, outer, strict=True))


@implements("If")
def branch(call: Call, *inputs: Any) -> Any:
    """One of two bodies."""
    (condition,), outer = _around(call, inputs)
    body = call.attr("then_branch" if bool(number(condition)) else "else_branch")
    return tuple(body.run(outer))


@implements("Loop")
def loop(call: Call, *inputs: Any) -> Any:
    """A body repeated while a condition holds; carries values, and collects others along a new first axis."""
    (most, condition, *carried), outer = _around(call, inputs)
    body = call.attr("body")
    count = None if most is None else int(number(most))
    going = condition is None or bool(number(condition))
    collected: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(carried))]
    trip = 0
    while going and (count is None or trip < count):
        call.budget.trip()
        at = torch.tensor(trip, dtype=torch.int64)
        state = [at, torch.tensor(going), *carried]
        results = body.run(outer | dict(zip(body.inputs, state, strict=True)))
        going = bool(number(results[0]))
        carried = list(results[1 : 1 + len(carried)])
        for items, item in zip(collected, results[1 + len(carried) :], strict=True):
            items.append(item)
            if len(items) == 1 and count is not None:
                call.allow((min(count, call.budget.limits.trips), *item.shape), item.element_size())
        trip += 1
    return (*carried, *(_stacked(items) for items in collected))


def _stacked(items: list[Any]) -> Any:
    return torch.stack(items) if items else torch.zeros(0)


@implements("SequenceMap")
def sequence_map(call: Call, *inputs: Any) -> Any:
    """A body run on each element of a sequence, together with those of others and with whole tensors."""
    own, outer = _around(call, inputs)
    body = call.attr("body")
    made: list[tuple[Any, ...]] = []
    for at in range(len(own[0])):
        call.budget.trip()
        now = [x[at] if isinstance(x, list) else x for x in own]
        made.append(tuple(body.run(outer | dict(zip(body.inputs, now, strict=True)))))
    return tuple([step[at] for step in made] for at in range(len(body.outputs)))


@implements("Scan")
def scan(call: Call, *inputs: Any) -> Any:
    """A body run over slices of its inputs; before version 9 over a batch of sequences, each on its own."""
    own, outer = _around(call, inputs)
    if call.opset < 9:
        return _batched(call, own[1:], outer)
    return _scanned(call, own, outer)


def _scanned(call: Call, own: tuple[Any, ...], outer: dict[str, Any]) -> tuple[Any, ...]:
    body = call.attr("body")
    count = call.attr("num_scan_inputs")
    split = len(own) - count
    states, scanned = list(own[:split]), own[split:]
    axes = call.attr("scan_input_axes") or (0,) * count
    back = call.attr("scan_input_directions") or call.attr("directions") or (0,) * count
    results = len(body.outputs) - split
    out_axes = call.attr("scan_output_axes") or (0,) * results
    out_back = call.attr("scan_output_directions") or (0,) * results
    sizes = {x.shape[axis] for x, axis in zip(scanned, axes, strict=True)}
    if len(sizes) != 1:
        raise FormatError(f"a Scan over inputs of different lengths: {sorted(sizes)}")
    length = sizes.pop()
    collected: list[list[Any]] = [[] for _ in range(results)]
    for step in range(length):
        call.budget.trip()
        now = [x.select(axis, length - 1 - step if b else step) for x, axis, b in zip(scanned, axes, back, strict=True)]
        made = body.run(outer | dict(zip(body.inputs, [*states, *now], strict=True)))
        states = list(made[:split])
        for items, item in zip(collected, made[split:], strict=True):
            items.append(item)
    stacked = []
    for items, axis, b in zip(collected, out_axes, out_back, strict=True):
        items = items[::-1] if b else items
        stacked.append(torch.stack(items, axis) if items else torch.zeros(0))
    return (*states, *stacked)


def _batched(call: Call, own: tuple[Any, ...], outer: dict[str, Any]) -> tuple[Any, ...]:
    samples = [_scanned(call, tuple(x[at] for x in own), outer) for at in range(own[0].shape[0])]
    return tuple(torch.stack(parts) for parts in zip(*samples, strict=True))
