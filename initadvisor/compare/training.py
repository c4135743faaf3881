"""One short training run: the curves, and what the layers carry at its start and at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from initadvisor.apply.data_driven.observe import undisturbed
from initadvisor.compare.inputs import Inputs
from initadvisor.compare.model import Curve, LayerRecord, Outcome, Task, TrainingRun
from initadvisor.compare.settings import MOMENTUM, Settings
from initadvisor.compare.watch import Spot, measure
from initadvisor.errors import TargetCodeError
from initadvisor.frontends.references import describe
from initadvisor.probe.loss import main_output

MEASURED = 256
"""Samples of the fixed batch that layers are looked at on."""

EVALUATED = 512
"""Held-out samples of one forward pass."""

FINAL = 0.1
"""Share of the steps, at the end, over which the final training loss is averaged."""

Tell = Callable[[int], None]


@dataclass(slots=True)
class Run:
    """A model with its weights drawn, ready to train at one learning rate from one seed."""

    module: torch.nn.Module
    inputs: Inputs
    task: Task
    settings: Settings
    learning_rate: float
    seed: int
    spots: Sequence[Spot]
    tell: Tell
    _losses: list[float] = field(default_factory=list)
    _scores: list[float] = field(default_factory=list)
    _points: list[tuple[int, float | None, float | None, float | None, float | None]] = field(default_factory=list)

    def train(self) -> TrainingRun:
        """Train, and give what was seen; a run that diverges or is interrupted gives what there was until then.

        Raises TargetCodeError where the model's own code raises.
        """
        began = time.perf_counter()
        outcome: Outcome = "interrupted"
        start: tuple[LayerRecord, ...] = ()
        end: tuple[LayerRecord, ...] = ()
        try:
            torch.manual_seed(self.seed)
            self.module.train()
            start = self._layers()
            outcome = self._steps()
            if outcome == "trained":
                end = self._layers()
        except KeyboardInterrupt:
            outcome = "interrupted"
        except RuntimeError as error:
            raise TargetCodeError(f"training raised {describe(error)}") from error
        return self._result(outcome, start, end, time.perf_counter() - began)

    def _steps(self) -> Outcome:
        settings = self.settings
        optimizer = self._optimizer()
        self._point(0)
        for step, batch in zip(range(1, settings.steps + 1), self._batches(), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = self._rate(step)
            loss, score = self._loss(self._forward(self.inputs.x[batch]), self.inputs.y[batch])
            value = float(loss.detach())
            if not math.isfinite(value):
                return "diverged"
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            self._losses.append(value)
            self._scores.append(score)
            if step % settings.interval == 0 or step == settings.steps:
                self._point(step)
                self.tell(step)
        return "trained"

    def _optimizer(self) -> torch.optim.Optimizer:
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        if self.settings.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=self.learning_rate)
        return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=MOMENTUM)

    def _rate(self, step: int) -> float:
        if self.settings.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - 1) / self.settings.steps))

    def _batches(self) -> Iterator[torch.Tensor]:
        """Indices of one batch after another: epochs in an order that depends on the seed alone."""
        generator = np.random.default_rng(self.seed)
        count, size = len(self.inputs.x), min(self.settings.batch_size, len(self.inputs.x))
        while True:
            order = torch.from_numpy(generator.permutation(count)).to(self.inputs.x.device)
            for first in range(0, count - size + 1, size):
                yield order[first : first + size]

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        output = main_output(self.module(self.inputs.fitted(x)))
        if output is None:
            raise TargetCodeError("the model gave no float output while it trained")
        return output.float()

    def _loss(self, output: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, float]:
        """(mean loss, accuracy or R^2)."""
        if self.task == "classification":
            return F.cross_entropy(output, y), float((output.detach().argmax(1) == y).float().mean())
        loss = F.mse_loss(output.reshape(y.shape), y)
        return loss, 1.0 - float(loss.detach()) / max(float(y.var(0, correction=0).mean()), 1e-12)

    def _layers(self) -> tuple[LayerRecord, ...]:
        """What the layers carry in training mode on the first samples; statistics and random state stay as they are."""

        def loss_of() -> tuple[torch.Tensor, int]:
            x, y = self.inputs.x[:MEASURED], self.inputs.y[:MEASURED]
            return self._loss(self._forward(x), y)[0], len(x)

        with undisturbed(self.module):
            return measure(self.module, self.spots, loss_of)

    def _point(self, step: int) -> None:
        loss, score = self._held_out()
        count = step - (self._points[-1][0] if self._points else 0)
        recent, right = self._losses[-count:] if count else [], self._scores[-count:] if count else []
        self._points.append((step, _mean(recent), _mean(right), loss, score))

    def _held_out(self) -> tuple[float | None, float | None]:
        """Loss and score on the held-out samples, in evaluation mode; None where they are not finite."""
        self.module.eval()
        outputs = []
        with torch.no_grad():
            for first in range(0, len(self.inputs.held_x), EVALUATED):
                outputs.append(self._forward(self.inputs.held_x[first : first + EVALUATED]))  # noqa: PERF401
            loss, score = self._loss(torch.cat(outputs), self.inputs.held_y)
        self.module.train()
        return (float(loss), score) if math.isfinite(float(loss)) else (None, None)

    def _result(
        self, outcome: Outcome, start: tuple[LayerRecord, ...], end: tuple[LayerRecord, ...], seconds: float
    ) -> TrainingRun:
        steps, train_loss, train_score, loss, score = (
            tuple(column) for column in (zip(*self._points, strict=True) if self._points else [()] * 5)
        )
        last = max(1, round(FINAL * self.settings.steps))
        reached = (
            s for s, value in zip(steps, score, strict=True) if value is not None and value >= self.settings.target
        )
        return TrainingRun(
            learning_rate=self.learning_rate,
            seed=self.seed,
            outcome=outcome,
            steps=len(self._losses),
            curve=Curve(steps=steps, train_loss=train_loss, train_score=train_score, loss=loss, score=score),
            final_train_loss=_mean(self._losses[-last:]) if outcome != "diverged" else None,
            final_score=score[-1] if score and outcome != "diverged" else None,
            steps_to_target=next(reached, None),
            seconds=round(seconds, 3),
            start=start,
            end=end,
        )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
