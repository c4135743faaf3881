"""The order in which example inputs are tried: the caller's, the library's, guessed ones, repaired ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain

from torch import nn

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import example, huggingface, signature, timm, torchvision
from initadvisor.frontends.torch_module.inputs.repair import repairs
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats

ATTEMPTS = 80
"""Forward passes that are tried before the recorder gives up."""

FURTHER = 8
"""Inputs that are still tried after a first success that left weights unread."""

PATIENCE = 45.0
"""Seconds after which no further input is tried."""


class Search:
    """Iterates over trials; `failed` tells it how the last one went, so that repairs come next."""

    def __init__(self, module: nn.Module, options: LoadOptions) -> None:
        self._module = module
        self._waiting: list[Trial] = []
        self._seen: set[str] = set()
        self._errors: set[str] = set()
        self._first = _starts(module, options)
        self._tried = 0
        self._further = 0
        self._many = huggingface.is_model(module) and options.example is None
        self._until = time.monotonic() + PATIENCE
        self.hopeless = False
        """The model's own code raises whatever it is run on: no tool would follow it further."""
        self.best: tuple[Trial, ForwardFailed] | None = None
        self.taken: Trial | None = None
        """The inputs that the recording was made on."""

    def __iter__(self) -> Iterator[Trial]:
        while self._tried < ATTEMPTS and time.monotonic() < self._until:
            trial = self._next()
            if trial is None:
                return
            if trial.describe() in self._seen:
                continue
            self._seen.add(trial.describe())
            self._tried += 1
            yield trial

    def _next(self) -> Trial | None:
        """A repaired trial, and every third time a fresh one: repairs of a wrong start lead nowhere."""
        if not self._waiting or self._tried % 3 == 2:
            fresh = next(self._first, None)
            if fresh is not None:
                return fresh
        return self._waiting.pop() if self._waiting else None

    def go_on(self) -> bool:
        """Whether to look for inputs that reach more of the model than the ones found: a few more for transformers.

        Their models take several kinds of input, all optional; others show all they have at once.
        """
        self._further += 1
        return self._many and self._further <= FURTHER

    def failed(self, trial: Trial, failed: ForwardFailed) -> bool:
        """Take note of a failure; what would repair it is tried next, unless an earlier trial got further.

        True where no earlier trial failed in this way.
        """
        new = failed.text not in self._errors
        self._errors.add(failed.text)
        further = self.best is None or len(failed.graph.nodes) >= len(self.best[1].graph.nodes)
        if further:
            self.best = (trial, failed)
        found = list(repairs(self._module, trial, failed))[:12]
        if further:
            self._waiting.extend(reversed(found))
        else:
            self._waiting[:0] = reversed(found)
        return new


def _starts(module: nn.Module, options: LoadOptions) -> Iterator[Trial]:
    if options.example is not None:
        return example.trials(module, options.example)
    if options.input_shapes:
        return _shapes(module, options.input_shapes)
    return chain(huggingface.trials(module), torchvision.trials(module), timm.trials(module), signature.trials(module))


def _shapes(module: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> Iterator[Trial]:
    """The caller's shapes: floats first; a model that embeds its input gets tokens by repair."""
    yield Trial(tuple(floats(*shape) for shape in shapes), source="shapes")
