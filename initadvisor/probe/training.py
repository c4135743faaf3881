"""One training step after another on one batch: the part of a probe that runs the model."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from initadvisor.errors import TargetCodeError, UsageError
from initadvisor.frontends.references import describe
from initadvisor.probe.batch import Batch, microbatches
from initadvisor.probe.devices import autocast, scaler
from initadvisor.probe.gradients import Gradients
from initadvisor.probe.loss import Fitted, fit, main_output
from initadvisor.probe.nonfinite import Modules, Origin, Tracer, backward_origin
from initadvisor.probe.observer import Observer
from initadvisor.probe.ranks import ALONE, Ranks, is_lost
from initadvisor.probe.reduction import reduce_pass
from initadvisor.probe.settings import LEARNING_RATE, ProbeSettings
from initadvisor.probe.shards import local
from initadvisor.probe.state import Untouched

Forward = Callable[[Batch], Any]

_LOST = "waited in vain"
"""What a rank says of itself whose forward pass another one did not come along to."""


class RankFailed(TargetCodeError):
    """The ranks did not all fare alike: no other way to call the model is tried."""


@dataclass(slots=True)
class Training:
    """A model with its batch, loss and optimizer, ready to step; `begin` starts over from the original state.

    kept: what puts the original numbers back. squashed: the function that makes the output, where it is known.
    """

    module: torch.nn.Module
    batch: Batch
    loss: Any
    settings: ProbeSettings
    device: torch.device
    kept: Untouched
    squashed: str = ""
    ranks: Ranks = ALONE
    optimizer: torch.optim.Optimizer = field(init=False)
    fitted: dict[int, Fitted] = field(default_factory=dict)
    parameters: Mapping[str, torch.nn.Parameter] = field(default_factory=dict)
    _parts: Sequence[Batch] = ()
    _scaler: torch.amp.GradScaler | None = None

    def begin(self) -> None:
        """The original numbers, on the device, in training mode, without gradients, from the seed."""
        self.kept.rewind()
        if not self.ranks.sharded:  # shards lie where their mesh is
            self.module.to(self.device)
        if isinstance(self.loss, torch.nn.Module):
            self.loss.to(self.device)
        if self.batch.evaluation:
            self.module.eval()
        elif not self.module.training:
            self.module.train()
        for parameter in self.module.parameters():
            parameter.grad = None
        self.parameters = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise UsageError("no parameter of the model is to be trained", hint="set requires_grad on what is trained")
        self._parts = microbatches(self.batch.to(self.device), self.settings.accumulate)
        self._scaler = scaler(self.device, self.settings.precision)
        self.optimizer = self._made_optimizer()
        self.seed()

    def seed(self) -> None:
        """Start every generator from the seed, and have kernels repeat themselves."""
        torch.manual_seed(self.settings.seed)
        random.seed(self.settings.seed)
        np.random.seed(self.settings.seed % 2**32)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True

    def _made_optimizer(self) -> torch.optim.Optimizer:
        given = self.settings.optimizer
        if isinstance(given, torch.optim.Optimizer):
            own = {id(p) for p in self.module.parameters()}
            if not any(id(p) in own for group in given.param_groups for p in group["params"]):
                raise UsageError(
                    "the optimizer holds no parameter of this model", hint="make it from model.parameters()"
                )
            return given
        parameters = list(self.parameters.values())
        if given is None:
            return torch.optim.SGD(parameters, lr=LEARNING_RATE)
        made = given(parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise UsageError(f"the optimizer is a {type(made).__name__}, not a torch.optim.Optimizer")
        return made

    def parts(self) -> Sequence[Batch]:
        """The micro-batches of a step."""
        return self._parts

    def result(self, part: Batch, forward: Forward | None = None) -> Any:
        """The model's result on a micro-batch, in the precision that was asked for."""
        with autocast(self.device, self.settings.precision):
            return forward(part) if forward is not None else self.module(*part.args, **part.kwargs)

    def loss_of(self, index: int, result: Any) -> torch.Tensor:
        """The loss of a micro-batch's result."""
        if index not in self.fitted:
            seed = self.settings.seed + index
            self.fitted[index] = fit(result, self._parts[index], self.loss, seed, self.squashed)
        with autocast(self.device, self.settings.precision):
            return self.fitted[index].function(result)

    def step(self, observer: Observer, gradients: Gradients) -> tuple[torch.Tensor, torch.Tensor | None]:
        """One step, recorded; (loss, main output of the first micro-batch), both on the device."""
        total, output = None, None
        for index, part in enumerate(self._parts):
            watched = (lambda p: observer.forward(self.module, p.args, dict(p.kwargs))) if index == 0 else None
            alike = index == 0 and not self.fitted and not self.ranks.alone
            result = self._first(part, watched) if alike else self.result(part, watched)
            loss = self.loss_of(index, result) / len(self._parts)
            if index == 0:
                found = main_output(result)
                output = None if found is None else found.detach()
            del result
            self.backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        self.ranks.average_gradients(self.parameters.values())
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        gradients.backward_done()
        gradients.before_update()
        self.update()
        gradients.after_update()
        if not self.ranks.alone:
            reduce_pass(self.ranks, observer.passes[-1], observer.sites, observer.ledger)
        return self._mean(total), output

    def _first(self, part: Batch, forward: Forward | None) -> Any:
        """The first forward pass: where it fails on one rank, the others must not go on without it."""
        error: Exception | None = None
        try:
            result = self.result(part, forward)
        except Exception as raised:
            error = raised
        text = "" if error is None else _LOST if is_lost(error) else describe(error)
        failed = self.ranks.agreed(text, 2 * self.settings.rank_timeout)
        if error is not None and len(set(failed)) == 1:
            raise error
        if any(failed):
            rank, text = next((rank, text) for rank, text in enumerate(failed) if text not in ("", _LOST))
            raise RankFailed(f"the forward pass raised on rank {rank} of {len(failed)}: {text}") from error
        return result

    def _mean(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss of all ranks."""
        return loss if self.ranks.alone else (self.ranks.sum([loss])[0] / self.ranks.count).to(loss.dtype)

    def backward(self, loss: torch.Tensor) -> None:
        """The backward pass of one micro-batch."""
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def scale(self) -> float:
        """What gradients of outputs are multiplied by while they flow."""
        return 1.0 if self._scaler is None else self._scaler.get_scale()

    def update(self) -> None:
        """The optimizer's step; the gradients are gone afterwards."""
        try:
            if self._scaler is None:
                self.optimizer.step()
            else:
                self._scaler.step(self.optimizer)
                self._scaler.update()
        except TypeError as error:
            if "closure" in str(error):
                raise UsageError(
                    f"{type(self.optimizer).__name__} needs a closure, which a probe does not give"
                ) from error
            raise
        for parameter in self.module.parameters():
            parameter.grad = None

    def plain_step(self) -> torch.Tensor:
        """One step without looking; the loss, on the device."""
        total = None
        for index, part in enumerate(self._parts):
            loss = self.loss_of(index, self.result(part)) / len(self._parts)
            self.backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        self.ranks.average_gradients(self.parameters.values())
        self.update()
        return self._mean(total)

    def trace(self, step: int) -> Origin | None:
        """Run up to a step once more and look at every operator of that step."""
        self.begin()
        found = self.ranks.first(self._bad_input())
        if found is not None:
            return found
        for _ in range(step):
            self.plain_step()
        if self.ranks.sharded:
            # Operators are not looked at while hooks gather shards: the observer's sites tell the module.
            return self.ranks.first(self._bad_shard())
        known = {id(p): name for name, p in self.module.named_parameters()}
        for index, part in enumerate(self._parts):
            with Modules(self.module) as modules, Tracer(modules, known) as tracer:
                loss = self.loss_of(index, self.result(part))
            origin: Origin | None = tracer.origin(loss)
            if origin is None and not bool(torch.isfinite(loss)):
                origin = Origin("loss", "")
            if origin is None:
                origin = backward_origin(loss, tracer.makers, lambda loss=loss: self.backward(loss))  # type: ignore[misc]
            # No rank waits for another within a whole copy: each has come here, with or without a finding.
            origin = self.ranks.first(origin)
            if origin is not None:
                return origin
        return None

    def _bad_shard(self) -> Origin | None:
        for name, parameter in self.module.named_parameters():
            if parameter.is_floating_point() and not bool(torch.isfinite(local(parameter)).all()):
                return Origin("parameter", name)
        return None

    def _bad_input(self) -> Origin | None:
        from initadvisor.frontends.torch_module.trees import labelled

        for label, tensor in labelled((*self.batch.args, dict(self.batch.kwargs), self.batch.targets), "batch"):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                return Origin("batch", label)
        return None
