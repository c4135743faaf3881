"""The probe's observer on a forward pass that somebody else calls."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.observer import Observer, Pass


class LiveObserver(Observer):
    """Records the first forward pass in training mode after each call of `next_step`: with gradient accumulation, the
    first micro-batch of a step.
    """

    samples = 0
    """Of the batch that was recorded last."""
    _awaiting = False

    def __enter__(self) -> LiveObserver:
        """Put the hooks on."""
        before = self._module.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True)
        super().__enter__()
        # Last, so that the module's own output is still recorded where it is a site itself.
        after = self._module.register_forward_hook(self._end, always_call=True)
        self._handles += [before, after]
        return self

    def next_step(self) -> None:
        """Record the next forward pass."""
        self._awaiting = True

    def _begin(self, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        if not self._awaiting or not module.training or not torch.is_grad_enabled():
            return
        self._awaiting = False
        self._active = True
        self.passes.append(Pass())
        self.samples = next((int(t.shape[0]) for t in leaves((args, kwargs)) if t.ndim), 0)

    def _end(self, *_: Any) -> None:
        self._active = False
