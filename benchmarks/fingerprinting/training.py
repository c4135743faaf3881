"""Small nets on scikit-learn's digits, before and after 200 steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.settle import SUSPECT
from initadvisor.analysis.fingerprint.verdicts import CLEAR
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Graph, Parameter

from . import LEAST
from .networks import NETS, OPTIMIZERS, STARTS

STEPS = 200
CALIBRATION, TEST = 0, 1

Weights = dict[str, np.ndarray]


def trained_nets(split: int, count: int) -> dict[str, Any]:
    """Error counts over `count` combinations of net, start and optimizer, chosen and seeded by the split."""
    combinations = [(n, s, o) for n in NETS for s in STARTS for o in OPTIMIZERS]
    generator = np.random.default_rng(split)
    order = generator.permutation(len(combinations))[:count]
    tally: Counter[str] = Counter()
    votes: Counter[str] = Counter()
    missed: list[str] = []
    for index in order.tolist():
        net, start, optimizer = combinations[index]
        torch.manual_seed(10_000 * split + index)
        model = NETS[net]()
        for parameter in model.parameters():
            if parameter.dim() > 1 and parameter.numel() >= LEAST:
                STARTS[start](parameter)
        fresh = _weights(model)
        accuracy = _train(model, OPTIMIZERS[optimizer])
        moved = _weights(model)
        tally["nets"] += 1
        # A net whose gradients vanish has not been trained by its 200 steps: nothing is there to be seen.
        learnt = accuracy > 0.3
        tally["nets that learnt nothing"] += not learnt
        before, shaken, after = _draws(fresh), _draws(_shaken(fresh, generator)), _draws(moved)
        for state, found in (("fresh", before), ("fresh, other generator", shaken), ("trained", after)):
            if state == "trained" and not learnt:
                continue
            for name, draw in found.items():
                votes[f"{_kind(draw, fresh[name])} | {state}"] += 1
                if fresh[name].ndim < 2 or fresh[name].size < LEAST:
                    continue
                alone = bool(draw.trained) and draw.departure != "neighbours"
                tally[f"{state}: tensors"] += 1
                tally[f"{state}: called trained alone"] += alone
                tally[f"{state}: called trained, settled"] += bool(draw.trained)
                tally[f"{state}: proven untouched"] += bool(draw.pristine)
                if state == "trained" and not draw.trained:
                    missed.append(f"{net}; {start}; {optimizer}; {name}")
    rates = {
        "trained tensors called trained": tally["trained: called trained, settled"] / tally["trained: tensors"],
        "trained tensors called trained alone": tally["trained: called trained alone"] / tally["trained: tensors"],
        "fresh tensors called trained": tally["fresh: called trained, settled"] / tally["fresh: tensors"],
        "fresh tensors of another generator called trained": tally["fresh, other generator: called trained, settled"]
        / tally["fresh, other generator: tensors"],
    }
    return {"rates": rates, "counts": dict(tally), "evidence": dict(sorted(votes.items())), "missed": missed[:20]}


def _kind(draw: DrawFacts, weight: np.ndarray) -> str:
    """What a tensor says to its neighbours, as `initadvisor.analysis.fingerprint.settle` has it, before they answer."""
    if weight.ndim < 2:
        own = draw.trained and draw.departure != "neighbours"
        return "vector, constant" if draw.family == "constant" else ("vector, moved" if own else "vector, drawn")
    if draw.pristine or draw.family in ("constant", "identity", "orthogonal"):
        return "matrix, proven"
    score = draw.trained_score or 0.0
    return "matrix, clear" if score > CLEAR else ("matrix, suspect" if score > SUSPECT else "matrix, plain")


def _train(model: nn.Module, optimizer: Callable[[Any], torch.optim.Optimizer]) -> float:
    """Train, and return the accuracy over the last 20 batches."""
    data = load_digits()
    images, labels = torch.tensor(data.images, dtype=torch.float32) / 8 - 1, torch.tensor(data.target)
    steps, chosen = optimizer(model.parameters()), torch.Generator().manual_seed(0)
    right = 0.0
    for step in range(STEPS):
        batch = torch.randint(len(labels), (64,), generator=chosen)
        logits = model(images[batch])
        loss = F.cross_entropy(logits, labels[batch])
        steps.zero_grad()
        loss.backward()
        steps.step()
        right += float((logits.argmax(1) == labels[batch]).float().mean()) if step >= STEPS - 20 else 0.0
    return right / 20


def _weights(model: nn.Module) -> Weights:
    return {name: tensor.detach().numpy().copy() for name, tensor in model.named_parameters()}


def _shaken(weights: Weights, generator: np.random.Generator) -> Weights:
    """The same draws without the last bits: no proof of the generator is left, and no statistic changes."""
    return {
        name: array if array.min() == array.max() else (array * (1 - 1e-5 * generator.random(array.shape))).astype("f4")
        for name, array in weights.items()
    }


def _draws(weights: Weights) -> dict[str, DrawFacts]:
    parameters = {n: Parameter(n, a.shape, "float32", ArraySource(a)) for n, a in weights.items()}
    found = tensor_facts(Graph("", "checkpoint", parameters=parameters, edges=False), threads=1)
    return {name: fact.draw for name, fact in found.items() if fact.draw is not None}
