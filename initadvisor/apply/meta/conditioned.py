"""A start that is made for one task from its support set: a generated head, and features modulated for the task."""

from __future__ import annotations

from itertools import islice
from math import log
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.apply.data_driven.observe import WEIGHTED, executed, undisturbed
from initadvisor.apply.meta.inner import State, call, head_of, start_of, state_dict
from initadvisor.apply.meta.tasks import Batch, Loss, Sampler, batch_of, tasks_of
from initadvisor.errors import UsageError

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)


class Conditioned:
    """A module's meta-learned weights with the small network that fits them to a task; `conditioned` makes it."""

    def __init__(self, module: nn.Module, inputs: Any, head: str | None, hidden: int, seed: int) -> None:
        self.module = module
        self.head = head_of(module, inputs, head)
        self.layer = module.get_submodule(self.head)
        if not isinstance(self.layer, nn.Linear):
            raise UsageError(
                f"the head {self.head!r} is {type(self.layer).__name__}, and only that of a linear one is generated",
                hint="name the linear layer that tells the classes apart, as head=",
            )
        self.moving, self.fixed = start_of(module)
        # The head is generated: its own weights take no part.
        for name in (f"{self.head}.weight", f"{self.head}.bias"):
            if name in self.moving:
                self.fixed[name] = self.moving.pop(name).detach()
        self.sites = _sites(module, inputs, self.head, self.moving)
        width = int(self.layer.in_features)
        self.generator = _generator(2 * width, hidden, 2 * sum(self.sites.values()), self.layer.weight, seed)
        self.log_scale = self.layer.weight.detach().new_tensor(-0.5 * log(width)).requires_grad_()

    def parameters(self) -> list[torch.Tensor]:
        """Everything that is meta-learned."""
        return [*self.moving.values(), *self.generator.parameters(), self.log_scale]

    def generate(self, support: Batch) -> State:
        """Parameters and buffers for the task of a support set, differentiable in what is meta-learned."""
        plain = self.moving | self.fixed
        seen = self._features(plain, support)
        context = torch.cat([seen.mean(0), seen.std(0, unbiased=False)])
        state = plain | self._modulated(self.generator(context))
        features = self._features(state, support)
        targets = support.targets.long()
        classes = int(self.layer.out_features)
        counts = torch.bincount(targets, minlength=classes)
        if len(counts) > classes or not bool((counts > 0).all()):
            missing = "more classes than" if len(counts) > classes else "no sample of some of"
            raise UsageError(
                f"a support set has {missing} the {classes} classes of the head {self.head!r}",
                hint="number the classes of a task from 0, as many as the head has outputs",
            )
        sums = torch.zeros(classes, features.shape[1], dtype=features.dtype, device=features.device)
        prototypes = sums.index_add(0, targets, features) / counts.to(features)[:, None]
        scale = self.log_scale.exp()
        state[f"{self.head}.weight"] = 2.0 * scale * prototypes
        state[f"{self.head}.bias"] = -scale * prototypes.square().sum(1)
        return state

    def start(self, support: tuple[Any, Any]) -> dict[str, Any]:
        """The state dict to start from on the task of this support set: (inputs, class numbers from 0)."""
        with undisturbed(self.module), torch.no_grad():
            kept = {name: value.clone() for name, value in self.fixed.items()}  # a forward pass may write buffers
            made = state_dict(self.module, self.generate(batch_of(support, "support")))
            self.fixed.update(kept)
            return made

    def _features(self, state: State, batch: Batch) -> torch.Tensor:
        """What the head gets to see, (samples, features)."""
        found: list[torch.Tensor] = []
        handle = self.layer.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
        try:
            call(self.module, state, batch.inputs)
        finally:
            handle.remove()
        if not found or found[-1].ndim != 2:
            raise UsageError(
                f"the head {self.head!r} is not fed one vector a sample",
                hint="the head of a classifier of whole samples is what can be generated",
            )
        return found[-1]

    def _modulated(self, generated: torch.Tensor) -> State:
        """Each site's output channels scaled by 1 + gamma and shifted by beta, folded into its parameters."""
        made: State = {}
        parts = iter(generated.split([count for count in self.sites.values() for _ in range(2)]))
        for path in self.sites:
            gamma, beta = next(parts), next(parts)
            weight, bias = self.moving[f"{path}.weight"], self.moving[f"{path}.bias"]
            made[f"{path}.weight"] = weight * (1.0 + gamma).reshape(-1, *[1] * (weight.ndim - 1))
            made[f"{path}.bias"] = bias * (1.0 + gamma) + beta
        return made


def conditioned(
    module: nn.Module,
    sampler: Sampler,
    *,
    head: str | None = None,
    hidden: int = 32,
    loss: Loss = F.cross_entropy,
    steps: int = 500,
    tasks: int = 4,
    outer_rate: float = 1e-3,
    seed: int = 0,
) -> Conditioned:
    """Meta-learn features and a small generator; `.start(support)` then gives a task's start in two forward passes.

    Formula: W_c = 2 s p_c and b_c = -s norm(p_c)^2 with p_c the mean feature of class c in the support set: the softmax
        over -s norm(x - p_c)^2 as a linear layer. Features: each channel of the norm layers (of the layers with a bias,
        where there are none) is scaled by 1 + gamma and shifted by beta, both generated by a two-layer network from
        mean and standard deviation of the support set's features, and folded into the weights. All of it is learned to
        lower the query loss, by Adam at outer_rate, without inner steps.
    What it is: prototypes as a linear head (Snell et al. 2017, arXiv 1703.05175, section 2.4; as a start to fine-tune
        from: Triantafillou et al. 2019, arXiv 1903.03096), and channel-wise modulation generated from the support set
        (Perez et al. 2017, arXiv 1709.07871; Requeima et al. 2019, arXiv 1906.07697).
    What it is not: a reproduction of any of these, or of a method named Aviator, for which no publication was found.
        No whole weight tensor is generated except the head's, and the generator knows only the model it learned with.
    head: the linear layer that is generated, by default the last layer called. hidden: units of the generator.

    Raises UsageError where the head is no linear layer, or a support set lacks one of its classes.
    """
    drawn = tasks_of(sampler, seed)
    with undisturbed(module):
        found = Conditioned(module, next(drawn).support.inputs, head, hidden, seed)
        learner = torch.optim.Adam(found.parameters(), outer_rate)
        for step in range(steps):
            learner.zero_grad()
            for support, query in islice(drawn, tasks):
                value = loss(call(module, found.generate(support), query.inputs), query.targets) / tasks
                if not bool(torch.isfinite(value.detach())):
                    raise UsageError(f"the loss at step {step} is {float(value.detach())}", hint="lower outer_rate")
                value.backward()
            learner.step()
    return found


def _generator(inputs: int, hidden: int, outputs: int, like: torch.Tensor, seed: int) -> nn.Module:
    """Two layers, the second zero: it starts without any modulation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    nn.init.zeros_(made[2].weight)
    nn.init.zeros_(made[2].bias)
    return made.to(like.device, like.dtype)


def _sites(module: nn.Module, inputs: Any, head: str, moving: State) -> dict[str, int]:
    """Path and channels of what is modulated: norms with scale and shift, else weighted layers that have a bias."""

    def own(kinds: tuple[type[nn.Module], ...], paths: list[str]) -> dict[str, int]:
        parts = {path: module.get_submodule(path) for path in paths}
        return {
            path: len(moving[f"{path}.bias"])
            for path, part in parts.items()
            if isinstance(part, kinds)
            and path != head
            and not getattr(part, "transposed", False)
            and {f"{path}.weight", f"{path}.bias"} <= moving.keys()
            and moving[f"{path}.bias"].ndim == 1
        }

    norms = own(_NORMS, [path for path, _ in module.named_modules()])
    return norms or own(WEIGHTED, [path for path, _ in executed(module, inputs)])
