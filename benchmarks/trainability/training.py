"""Training all replicas of a case at once: one stack of parameters, a learning rate for each replica.

Plain SGD with momentum 0.9 on minibatches. A replica leaves the stack once it is not finite, or has long learned;
what is left is trained to the end.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.func import functional_call, replace_all_batch_norm_modules_, stack_module_state, vmap

from .cases import RATES, SEEDS, Case, build, data
from .data import score
from .labels import constant, goal
from .networks import Recurrent

STEPS = 300
MOMENTUM = 0.9
LEARNED = 0.05
"""A replica whose training score is this much above the goal at two looks in a row is left alone."""

HOPELESS = 100
"""So is one that is no better after this many steps than a constant answer (by 0.02), and whose loss has not fallen by
2% since the first look."""

BATCH = 32
_LOOKS = (25, 50, 75, 100, 150, 200, 250, 300)
"""Steps after which the score on the whole training part is taken."""


@dataclass
class Curve:
    """One replica. scores: (step, training score); losses: mean loss of the steps since the last look."""

    seed: int
    rate: float
    scores: list[tuple[int, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    test_score: float = 0.0
    finite: bool = True
    steps: int = 0

    @property
    def final(self) -> float:
        """The better of the last two training scores; -1 for a replica that is not finite."""
        return max((value for _, value in self.scores[-2:]), default=-1.0) if self.finite else -1.0

    @property
    def early(self) -> float:
        """The training score after 50 steps."""
        return next((value for step, value in self.scores if step >= 50), self.final)


def train(
    case: Case,
    seeds: Sequence[int] = SEEDS,
    rates: Sequence[float] | None = None,
    steps: int = STEPS,
    prepare: Callable[[nn.Module, int], nn.Module | None] | None = None,
) -> list[Curve]:
    """Train a case from each seed at each rate. prepare: what is done to each network first, given its seed."""
    modules = []
    for seed in seeds:
        module = build(case, seed)
        modules.append((prepare(module, seed) if prepare else None) or module)
    return train_modules(case, modules, seeds, case.rates if rates is None else rates, steps)


def train_modules(
    case: Case, modules: Sequence[nn.Module], seeds: Sequence[int], rates: Sequence[float] = RATES, steps: int = STEPS
) -> list[Curve]:
    """Train networks of the same architecture, one for each seed, at each rate; they are left as they are."""
    pairs = [(module, seed, rate) for module, seed in zip(modules, seeds, strict=True) for rate in rates]
    replicas = [_plain(module) for module, _, _ in pairs]
    curves = [Curve(seed, rate) for _, seed, rate in pairs]
    _Stack(case, replicas, curves).run(steps)
    return curves


def seconds() -> float:
    """CPU time of this process."""
    return time.process_time()


def _plain(module: nn.Module) -> nn.Module:
    """A copy that vmap can take: batch norms without running statistics, recurrent nets in single steps."""
    module = copy.deepcopy(module)
    replace_all_batch_norm_modules_(module)
    for part in module.modules():
        if isinstance(part, Recurrent):
            part.unrolled = True
        if type(part) is nn.Linear:
            part.__class__ = _Flat
    return module.train()


class _Flat(nn.Linear):
    """A linear layer over all positions at once: vmap would hand each sample a copy of the weight."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(0, -2)).unflatten(0, x.shape[:-1])


class _Stack:
    def __init__(self, case: Case, replicas: list[nn.Module], curves: list[Curve]) -> None:
        self.data, self.curves = data(case), curves
        self.goal, self.constant = goal(case.data), constant(case.data)
        self.size = min(BATCH, len(self.data.inputs))
        self.parameters, self.buffers = stack_module_state(replicas)
        self.velocity = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.alive = list(range(len(curves)))
        self.skeleton = copy.deepcopy(replicas[0])
        self.orders: dict[int, torch.Tensor] = {}

    def run(self, steps: int) -> None:
        looks = {step for step in _LOOKS if step < steps} | {steps}
        losses: list[torch.Tensor] = []
        for step in range(1, steps + 1):
            losses.append(self._step(step))
            if step in looks:
                self._look(step, torch.stack(losses).mean(0), step == steps)
                losses = []
                if not self.alive:
                    return

    def _step(self, step: int) -> torch.Tensor:
        chosen = torch.stack([self._chosen(self.curves[i].seed, step) for i in self.alive])
        names = list(self.parameters)
        leaves = [self.parameters[name].detach().requires_grad_() for name in names]
        output = self._forward(dict(zip(names, leaves, strict=True)), self.data.inputs[chosen])
        loss = self._losses(output, self.data.targets[chosen])
        found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
        rate = torch.tensor([self.curves[i].rate for i in self.alive])
        with torch.no_grad():
            for name, leaf, gradient in zip(names, leaves, found, strict=True):
                if gradient is None:
                    continue
                velocity = self.velocity[name].mul_(MOMENTUM).add_(gradient)
                self.parameters[name] = leaf.detach() - rate.view(-1, *[1] * (leaf.ndim - 1)) * velocity
        return loss.detach()

    def _forward(self, parameters: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        def one(p: dict[str, torch.Tensor], b: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            return functional_call(self.skeleton, (p, b), (x,))

        return vmap(one)(parameters, self.buffers, inputs)

    def _losses(self, output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if targets.dtype == torch.long:
            picked = output.log_softmax(-1).gather(-1, targets.unsqueeze(-1))
            return -picked.mean((1, 2))
        return (output - targets).square().mean((1, 2))

    def _chosen(self, seed: int, step: int) -> torch.Tensor:
        """Sample without replacement until the data are used up; the same order for all rates of a seed."""
        batches = len(self.data.inputs) // self.size
        epoch, index = divmod(step - 1, batches)
        if index == 0 or seed not in self.orders:
            generator = torch.Generator().manual_seed(1000 * seed + epoch)
            self.orders[seed] = torch.randperm(len(self.data.inputs), generator=generator)
        return self.orders[seed][index * self.size : (index + 1) * self.size]

    @torch.no_grad()
    def _look(self, step: int, losses: torch.Tensor, last: bool) -> None:
        train_scores = self._scores(self.data.inputs, self.data.targets)
        test_scores = self._scores(self.data.test_inputs, self.data.test_targets)
        stay = []
        for place, index in enumerate(self.alive):
            curve = self.curves[index]
            curve.steps = step
            curve.scores.append((step, round(float(train_scores[place]), 4)))
            curve.losses.append(round(float(losses[place]), 5))
            curve.test_score = round(float(test_scores[place]), 4)
            finite = all(bool(torch.isfinite(p[place]).all()) for p in self.parameters.values())
            curve.finite = finite and bool(torch.isfinite(losses[place]))
            if curve.finite and not last and not self._settled(curve):
                stay.append(place)
        if len(stay) < len(self.alive):
            self._keep(stay)

    def _settled(self, curve: Curve) -> bool:
        """Whether more steps would say nothing new."""
        if len(curve.scores) > 1 and min(value for _, value in curve.scores[-2:]) >= self.goal + LEARNED:
            return True
        flat = curve.losses[-1] > 0.98 * curve.losses[0]
        return curve.steps >= HOPELESS and flat and max(value for _, value in curve.scores) <= self.constant + 0.02

    def _scores(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        output = self._forward(self.parameters, inputs.expand(len(self.alive), *inputs.shape))
        return score(output, targets)

    def _keep(self, stay: list[int]) -> None:
        kept = torch.tensor(stay, dtype=torch.long)
        self.parameters = {name: p.detach()[kept] for name, p in self.parameters.items()}
        self.velocity = {name: v[kept] for name, v in self.velocity.items()}
        self.buffers = {name: b[kept] for name, b in self.buffers.items()}
        self.alive = [self.alive[place] for place in stay]
