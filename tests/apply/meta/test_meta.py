"""Meta-learned starts against closed forms and definitions, and what a user's sampler may do wrong."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.apply.meta import Batch, Task, conditioned, fine_tune, maml, meta_gradient, reptile
from initadvisor.apply.meta.inner import start_of
from initadvisor.apply.meta.tasks import tasks_of
from initadvisor.errors import UsageError


class Point(nn.Module):
    """Parameters alone: the loss is a quadratic form in w."""

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(size, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w + 0.0 * x


def quadratic(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1/2 (w - c)^T A (w - c), with the rows of `target` c and then A."""
    away = output[0] - target[0]
    return 0.5 * away @ target[1:] @ away


def form(generator: torch.Generator, size: int = 3) -> Batch:
    root = torch.randn(size, size, dtype=torch.float64, generator=generator)
    centre = torch.randn(1, size, dtype=torch.float64, generator=generator)
    target = torch.cat([centre, root @ root.T])
    return Batch(torch.zeros(len(target), size, dtype=torch.float64), target)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_meta_gradient_on_a_quadratic_is_the_closed_form(order: int, steps: int, together: bool) -> None:
    """w' = c + (I - aA)^k (w - c); the gradient is (I - aA)^k B (w' - d) of order 2, and B (w' - d) of order 1."""
    torch.manual_seed(0)
    model, generator, rate = Point(), torch.Generator().manual_seed(1), 0.05
    if not together:
        model.register_buffer("seen", torch.zeros(()))  # a buffer that tasks would share: one after the other
    tasks = [Task(form(generator), form(generator)) for _ in range(5)]
    moving, fixed = start_of(model)
    found, loss = meta_gradient(
        model, tasks, moving=moving, fixed=fixed, names=["w"], loss=quadratic, inner_rate=rate, inner_steps=steps,
        order=order,
    )  # fmt: skip
    wanted, losses = torch.zeros_like(model.w), 0.0
    for support, query in tasks:
        centre, a, aim, b = support.targets[0], support.targets[1:], query.targets[0], query.targets[1:]
        shrink = torch.linalg.matrix_power(torch.eye(3, dtype=torch.float64) - rate * a, steps)
        away = centre + shrink @ (model.w.detach() - centre) - aim
        wanted += (shrink if order == 2 else torch.eye(3, dtype=torch.float64)) @ b @ away / len(tasks)
        losses += 0.5 * float(away @ b @ away) / len(tasks)
    torch.testing.assert_close(found["w"], wanted, rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(losses, rel=1e-10)


def quadratics(generator: torch.Generator) -> Task:
    return Task(form(generator), form(generator))


def toy(ways: int = 3, width: int = 6, samples: int = 4):
    """Classes are random directions, in the first half of the inputs; the second half is noise."""

    def sampler(generator: torch.Generator) -> Task:
        centres = 2.0 * torch.randn(ways, width // 2, generator=generator)

        def draw() -> Batch:
            y = torch.arange(ways).repeat(samples)
            signal = centres[y] + 0.2 * torch.randn(len(y), width // 2, generator=generator)
            noise = 3.0 * torch.randn(len(y), width - width // 2, generator=generator)
            return Batch(torch.cat([signal, noise], 1), y)

        return Task(draw(), draw())

    return sampler


def network(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(16)] if norm else []
    return nn.Sequential(nn.Linear(6, 16), *middle, nn.ReLU(), nn.Linear(16, 3))


@pytest.mark.parametrize("norm", [False, True], ids=["side by side", "one by one"])
def test_one_step_of_reptile_is_its_definition(norm: bool) -> None:
    """theta + eps (mean phi - theta), with phi from torch's own SGD."""
    sampler, rate, eps, inner = toy(), 0.1, 0.7, 3
    model = network(norm)
    found = reptile(
        model, sampler, steps=1, tasks=2, inner_rate=rate, inner_steps=inner, outer_rate=eps, anneal=False, seed=5
    )
    ends = []
    for support, query in islice(tasks_of(sampler, 5), 2):
        other = network(norm)
        optimizer = torch.optim.SGD(other.parameters(), rate)
        x, y = torch.cat([support.inputs, query.inputs]), torch.cat([support.targets, query.targets])
        for _ in range(inner):
            optimizer.zero_grad()
            nn.functional.cross_entropy(other(x), y).backward()
            optimizer.step()
        ends.append(dict(other.named_parameters()))
    for name, theta in model.named_parameters():
        wanted = theta + eps * ((ends[0][name] + ends[1][name]) / 2 - theta)
        torch.testing.assert_close(found[name], wanted.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch", [None, 4])
def test_reptile_with_one_full_inner_step_is_gradient_descent_on_the_mean_loss(batch: int | None) -> None:
    """On quadratics of one centre: theta - eps a A (theta - c), whatever the task's order of samples."""
    model = Point(1)
    tasks = [Batch(torch.zeros(8, 1, dtype=torch.float64), torch.full((8, 1), c, dtype=torch.float64)) for c in (1, 3)]
    turn = iter([*tasks, *tasks])

    def squared(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return 0.5 * (output - target).square().mean()

    found = reptile(
        model, lambda _: Task(t := next(turn), t), loss=squared, steps=1, tasks=2, inner_rate=0.5, inner_steps=1,
        batch=batch, outer_rate=0.4, anneal=False,
    )  # fmt: skip
    w = float(model.w.detach())
    assert float(found["w"]) == pytest.approx(w + 0.4 * 0.5 * (2.0 - w), rel=1e-12)


def loss_after(model: nn.Module, state: dict, sampler, steps: int = 3, rate: float = 0.1) -> float:
    total = 0.0
    for support, query in islice(tasks_of(sampler, 99), 20):
        adapted = fine_tune(model, state, support, rate=rate, steps=steps)
        output = torch.func.functional_call(model, adapted, (query.inputs,))
        total += float(nn.functional.cross_entropy(output, query.targets)) / 20
    return total


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("maml", {}),
        ("maml", {"order": 1}),
        ("anil", {"inner_rate": 0.3}),
        ("reptile", {"inner_steps": 8}),
        ("reptile", {"inner_steps": 8, "batch": 8}),
    ],
)
def test_adapting_from_the_start_ends_lower_than_from_where_it_began(method: str, options: dict) -> None:
    model, sampler = network(), toy()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = initadvisor.meta_start(
        model, sampler, method=method, **{"steps": 60, "outer_rate": 1e-2 if method != "reptile" else 0.5, **options}
    )
    assert state.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert loss_after(model, state, sampler) < 0.9 * loss_after(model, before, sampler)
    model.load_state_dict(state)


def test_the_same_seed_gives_the_same_start_and_leaves_random_numbers_alone() -> None:
    model = network()
    torch.manual_seed(3)
    first = maml(model, toy(), steps=3, seed=1)
    mark = torch.rand(())
    torch.manual_seed(3)
    assert torch.equal(mark, torch.rand(()))
    again, other = maml(model, toy(), steps=3, seed=1), maml(model, toy(), steps=3, seed=2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_anil_meta_learns_the_body_but_adapts_the_head_alone() -> None:
    """With the body's inner step switched off the meta-gradient is that of MAML on a frozen body."""
    model, task = network(), next(tasks_of(toy(), 0))
    moving, fixed = start_of(model)
    head = ["2.weight", "2.bias"]
    found, _ = meta_gradient(model, [task], moving=moving, fixed=fixed, names=head, inner_steps=1, inner_rate=0.1)
    features = nn.Sequential(*model[:2])
    w, b = model[2].weight, model[2].bias
    loss = nn.functional.cross_entropy(features(task.support.inputs) @ w.T + b, task.support.targets)
    gw, gb = torch.autograd.grad(loss, [w, b], create_graph=True)
    output = features(task.query.inputs) @ (w - 0.1 * gw).T + b - 0.1 * gb
    nn.functional.cross_entropy(output, task.query.targets).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


@pytest.mark.parametrize("norm", [False, True])
def test_a_conditioned_start_solves_new_tasks_without_a_step(norm: bool) -> None:
    model, sampler = network(norm), toy()
    learned = conditioned(model, sampler, steps=60, outer_rate=1e-2)
    right = chance = 0.0
    for support, query in islice(tasks_of(sampler, 99), 20):
        state = learned.start(support)
        assert state.keys() == model.state_dict().keys()
        right += float((torch.func.functional_call(model, state, (query.inputs,)).argmax(1) == query.targets).sum())
        chance += len(query.targets) / 3
    assert right > 2.2 * chance


def test_the_head_of_a_conditioned_start_is_the_nearest_prototype() -> None:
    """Without any learning the logits are -s norm(x - p)^2 up to a constant a sample, s = 1 / sqrt(features)."""
    model = network().double()
    support, query = (Batch(b.inputs.double(), b.targets) for b in next(tasks_of(toy(), 0)))
    state = conditioned(model, lambda _: (support, query), steps=0).start(support)
    features = nn.Sequential(*model[:2])
    with torch.no_grad():
        z, q = features(support.inputs), features(query.inputs)
        prototypes = torch.stack([z[support.targets == c].mean(0) for c in range(3)])
        wanted = (-((q[:, None] - prototypes) ** 2).sum(2) / 4.0).log_softmax(1)
        found = torch.func.functional_call(model, state, (query.inputs,)).log_softmax(1)
    torch.testing.assert_close(found, wanted)


class Twice(nn.Module):
    """One layer under two names, and a frozen bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.head.bias.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(x).relu()).relu())


@pytest.mark.parametrize("method", ["maml", "reptile"])
def test_shared_parameters_stay_shared_and_frozen_ones_as_they_are(method: str) -> None:
    model = Twice()
    state = initadvisor.meta_start(model, toy(), method=method, steps=2, outer_rate=0.1)
    assert torch.equal(state["first.weight"], state["second.weight"])
    assert not torch.equal(state["first.weight"], model.first.weight)
    assert torch.equal(state["head.bias"], model.head.bias)


X, Y = torch.randn(6, 6), torch.arange(6) % 3


@pytest.mark.parametrize(
    ("sampler", "method", "options", "said"),
    [
        (3, "maml", {}, "cannot be called"),
        (lambda _: 1 / 0, "maml", {}, "raised ZeroDivisionError"),
        (lambda _: X, "reptile", {}, "returned Tensor"),
        (lambda _: (X, Y), "maml", {}, "support set is Tensor"),
        (lambda _: ((X, Y[:3]), (X, Y)), "maml", {}, "6 inputs and 3 targets"),
        (lambda _: ((X[:0], Y[:0]), (X, Y)), "maml", {}, "empty"),
        (lambda _: ((X * torch.nan, Y), (X, Y)), "maml", {}, "the loss .* is nan"),
        (lambda _: ((X, Y), (X, Y)), "maml", {"inner_rate": 1e30}, "lower inner_rate"),
        (lambda _: ((X, Y), (X, Y)), "maml", {"tasks": 0}, "no task"),
        (lambda _: ((X, Y), (X, Y)), "reptile", {"tasks": 0}, "none to learn from"),
        (lambda _: ((X, Y), (X, Y)), "maml", {"order": 3}, "order 1 or 2"),
        (lambda _: ((X, Y), (X, Y)), "maml", {"inner_lr": 0.1}, "no option 'inner_lr'"),
        (lambda _: ((X, Y), (X, Y)), "sgd", {}, "no method 'sgd'"),
        (lambda _: ((X, Y), (X, Y)), "anil", {"head": "top"}, "no module 'top'"),
        (lambda _: ((X, Y), (X, Y)), "conditioned", {}, "needs the support set"),
        (lambda _: ((X, Y), (X, Y)), "maml", {"support": (X, Y)}, "one start for all"),
        (lambda _: ((X, 0 * Y), (X, Y)), "conditioned", {"support": (X, Y)}, "no sample of some"),
        (lambda _: ((X, Y + 1), (X, Y)), "conditioned", {"support": (X, Y)}, "more classes than"),
    ],
)
def test_what_cannot_be_used_is_said(sampler, method: str, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        initadvisor.meta_start(network(), sampler, method=method, **{"steps": 2, **options})
