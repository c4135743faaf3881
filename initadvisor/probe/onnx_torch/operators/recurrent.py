"""LSTM, GRU and RNN: torch's own kernels where they mean the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements

_Function = Callable[[Any], Any]

_PLAIN: dict[str, _Function] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softsign": F.softsign,
    "softplus": F.softplus,
}
_WITH: dict[str, tuple[Callable[[Any, float, float], Any], float, float]] = {
    "leakyrelu": (lambda x, a, b: F.leaky_relu(x, a), 0.01, 0.0),
    "thresholdedrelu": (lambda x, a, b: F.threshold(x, a, 0.0), 1.0, 0.0),
    "scaledtanh": (lambda x, a, b: a * torch.tanh(b * x), 1.0, 1.0),
    "hardsigmoid": (lambda x, a, b: torch.clamp(a * x + b, 0, 1), 0.2, 0.5),
    "elu": (lambda x, a, b: F.elu(x, a), 1.0, 0.0),
    "affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
}
"""Activations with parameters, and ONNX's defaults for them."""


def _activations(call: Call, default: Sequence[str], turns: int) -> list[_Function]:
    names = [name.lower() for name in call.attr("activations") or tuple(default) * turns]
    alphas, betas = list(call.attr("activation_alpha") or ()), list(call.attr("activation_beta") or ())
    found: list[_Function] = []
    for name in names:
        if name in _PLAIN:
            found.append(_PLAIN[name])
        elif name in _WITH:
            function, alpha, beta = _WITH[name]
            a = alphas.pop(0) if alphas else alpha
            b = betas.pop(0) if betas and name in ("scaledtanh", "hardsigmoid", "affine") else beta
            found.append(lambda x, f=function, a=a, b=b: f(x, a, b))  # type: ignore[misc]
        else:
            raise FormatError(f"a recurrent activation {name!r} that ONNX does not define")
    clip = call.attr("clip")
    if clip is not None:
        return [lambda x, f=f: f(torch.clamp(x, -clip, clip)) for f in found]  # type: ignore[misc]
    return found


def _regular(call: Call, default: Sequence[str], turns: int) -> bool:
    """Whether the node computes what torch's kernel does."""
    names = tuple(name.lower() for name in call.attr("activations") or ())
    return call.attr("clip") is None and (not names or names == tuple(default) * turns)


def _reordered(tensor: Any, order: Sequence[int]) -> Any:
    parts = tensor.chunk(len(order), 0)
    return torch.cat([parts[at] for at in order])


def _kernel_weights(w: Any, r: Any, b: Any, order: Sequence[int]) -> list[Any]:
    """The weights as torch's kernel lists them: (input, hidden, biases) for each direction, gates in its order."""
    found = []
    for turn in range(w.shape[0]):
        found += [_reordered(w[turn], order), _reordered(r[turn], order)]
        if b is not None:
            if b.shape != (w.shape[0], 2 * w.shape[1]):
                raise ValueError(f"biases {list(b.shape)} do not fit weights {list(w.shape)}")
            half = b.shape[1] // 2
            found += [_reordered(b[turn, :half], order), _reordered(b[turn, half:], order)]
    return found


class _Sequence:
    """What the three operators share: directions, lengths, initial states, layouts."""

    def __init__(self, call: Call, x: Any, w: Any, r: Any, lengths: Any) -> None:
        self.batch_first = bool(call.attr("layout", 0))
        self.x = x.transpose(0, 1) if self.batch_first else x
        self.turns = w.shape[0]
        direction = call.attr("direction", "forward")
        self.backward = [direction == "reverse"] if self.turns == 1 else [False, True]
        self.hidden = r.shape[-1]
        steps = self.x.shape[0]
        self.lengths = None
        if lengths is not None and bool((lengths != steps).any()):
            self.lengths = lengths.to(self.x.device)
        rows = w.shape[1]
        fits = w.shape == (self.turns, rows, self.x.shape[2]) and r.shape == (self.turns, rows, self.hidden)
        if not fits or rows % self.hidden:
            # The kernels do not look: tensors that do not fit would be read past their end.
            raise ValueError(f"weights {list(w.shape)} and {list(r.shape)} do not fit inputs {list(self.x.shape)}")
        call.allow((steps, self.turns, self.x.shape[1], rows), self.x.element_size())

    def state(self, given: Any) -> Any:
        """An initial state as (directions, batch, hidden)."""
        if given is None:
            return self.x.new_zeros((self.turns, self.x.shape[1], self.hidden))
        state = given.transpose(0, 1) if self.batch_first else given
        wanted = (self.turns, self.x.shape[1], self.hidden)
        if tuple(state.shape) != wanted:
            raise ValueError(f"an initial state {list(state.shape)} is not {list(wanted)}, which the inputs ask for")
        return state

    def run(self, step: Callable[[int, Any, tuple[Any, ...]], tuple[Any, ...]], states: list[Any]) -> list[Any]:
        """Step through time in every direction; gives (steps, directions, batch, hidden) and last states."""
        outputs, lasts = [], []
        for turn in range(self.turns):
            state = tuple(s[turn] for s in states)
            times = range(self.x.shape[0])
            made: list[Any] = [None] * len(times)
            for time in reversed(times) if self.backward[turn] else times:
                new = step(turn, self.x[time], state)
                if self.lengths is not None:
                    live = (time < self.lengths).unsqueeze(1)
                    new = tuple(torch.where(live, n, s) for n, s in zip(new, state, strict=True))
                    made[time] = torch.where(live, new[0], torch.zeros_like(new[0]))
                else:
                    made[time] = new[0]
                state = new
            outputs.append(torch.stack(made))
            lasts.append(state)
        found = [torch.stack(outputs, 1)]
        found += [torch.stack([last[at] for last in lasts]) for at in range(len(states))]
        return found

    def laid_out(self, call: Call, y: Any, *lasts: Any) -> Any:
        """The outputs in the layout that the node asks for."""
        if self.batch_first:
            y = y.permute(2, 0, 1, 3)
            lasts = tuple(last.transpose(0, 1) for last in lasts)
        return (y, *lasts)[: max(call.outputs, 1)] if call.outputs > 1 else y

    def kernel(self, run: Any, states: Any, weights: list[Any], biased: bool, call: Call) -> Any:
        """torch's own kernel over the whole sequence."""
        x = self.x.flip(0) if self.turns == 1 and self.backward[0] else self.x
        y, *lasts = run(x, states, weights, biased, 1, 0.0, call.training, self.turns == 2, False)
        y = y.reshape(*y.shape[:2], self.turns, self.hidden).transpose(1, 2)
        y = y.flip(0) if self.turns == 1 and self.backward[0] else y
        return self.laid_out(call, y, *lasts)


@implements("LSTM")
def lstm(
    call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, p: Any = None
) -> Any:
    """Gates lie in the order input, output, forget, cell; the states run in every direction."""
    sequence = _Sequence(call, x, w, r, lengths)
    default = ("sigmoid", "tanh", "tanh")
    states = [sequence.state(h), sequence.state(c)]
    plain = p is None and not call.attr("input_forget", 0) and _regular(call, default, sequence.turns)
    if plain and sequence.lengths is None:
        weights = _kernel_weights(w, r, b, (0, 2, 3, 1))
        return sequence.kernel(torch._VF.lstm, states, weights, b is not None, call)
    acts = _activations(call, default, sequence.turns)

    def step(turn: int, now: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, cell = state
        f, g, k = acts[3 * turn : 3 * turn + 3]
        gates = F.linear(now, w[turn]) + F.linear(hidden, r[turn])
        if b is not None:
            half = b.shape[1] // 2
            gates = gates + b[turn, :half] + b[turn, half:]
        i, o, forget, new = gates.chunk(4, -1)
        if p is not None:
            pi, po, pf = p[turn].chunk(3)
            i, forget = i + pi * cell, forget + pf * cell
        i = f(i)
        forget = 1 - i if call.attr("input_forget", 0) else f(forget)
        cell = forget * cell + i * g(new)
        o = f(o if p is None else o + po * cell)
        return o * k(cell), cell

    return sequence.laid_out(call, *sequence.run(step, states))


@implements("GRU")
def gru(call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None) -> Any:
    """Gates lie in the order update, reset, hidden."""
    sequence = _Sequence(call, x, w, r, lengths)
    default = ("sigmoid", "tanh")
    after = bool(call.attr("linear_before_reset", 0))
    if after and _regular(call, default, sequence.turns) and sequence.lengths is None:
        weights = _kernel_weights(w, r, b, (1, 0, 2))
        return sequence.kernel(torch._VF.gru, sequence.state(h), weights, b is not None, call)
    acts = _activations(call, default, sequence.turns)
    size = sequence.hidden

    def step(turn: int, now: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = state[0]
        f, g = acts[2 * turn : 2 * turn + 2]
        wz, wr, wh = (F.linear(now, w[turn]) + (b[turn, : 3 * size] if b is not None else 0)).chunk(3, -1)
        rb = b[turn, 3 * size :] if b is not None else None
        rz, rr = F.linear(hidden, r[turn, : 2 * size], rb[: 2 * size] if rb is not None else None).chunk(2, -1)
        update, reset = f(wz + rz), f(wr + rr)
        bias = rb[2 * size :] if rb is not None else None
        if after:
            new = g(wh + reset * F.linear(hidden, r[turn, 2 * size :], bias))
        else:
            new = g(wh + F.linear(reset * hidden, r[turn, 2 * size :], bias))
        return ((1 - update) * new + update * hidden,)

    return sequence.laid_out(call, *sequence.run(step, [sequence.state(h)]))


@implements("RNN")
def rnn(call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None) -> Any:
    """One matrix for the input, one for the state."""
    sequence = _Sequence(call, x, w, r, lengths)
    if sequence.lengths is None:
        for name, run in (("tanh", torch._VF.rnn_tanh), ("relu", torch._VF.rnn_relu)):
            asked = call.attr("activations") is not None or name == "tanh"
            if asked and _regular(call, (name,), sequence.turns):
                weights = _kernel_weights(w, r, b, (0,))
                return sequence.kernel(run, sequence.state(h), weights, b is not None, call)
    acts = _activations(call, ("tanh",), sequence.turns)

    def step(turn: int, now: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        total = F.linear(now, w[turn]) + F.linear(state[0], r[turn])
        if b is not None:
            half = b.shape[1] // 2
            total = total + b[turn, :half] + b[turn, half:]
        return (acts[turn](total),)

    return sequence.laid_out(call, *sequence.run(step, [sequence.state(h)]))
